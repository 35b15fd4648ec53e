"""`ringfence orders`: the block orders, and a person's decision on those that wait."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Who, Why

EPILOG = """
An order waits for a person when a limit is reached (orders per minute, distinct callers, share of the last hour's calls), when it
overlaps the allow list, or when the policy leaves it to a person: calls to numbers that cannot be read or priced (`unpriced_blocks: ask`).
It is never dropped silently, and never enforced without that person's approval.

**Examples**

`ringfence orders --waiting`

`ringfence orders --approve order-ba9bdfc51d3b86e75236 --why "confirmed with the customer"`

`ringfence orders --deny order-ba9bdfc51d3b86e75236 --why "their yearly campaign"`
"""


def orders(
    waiting: Annotated[bool, typer.Option("--waiting", help="Show only those that wait for a person.")] = False,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20,
    approve: Annotated[
        str, typer.Option(metavar="ORDER", help="Approve a waiting order and the others of its key.", show_default=False)
    ] = "",
    deny: Annotated[str, typer.Option(metavar="ORDER", help="Lift a waiting order; its key stays lifted for a day.", show_default=False)] = "",
    cut: Annotated[bool, typer.Option("--cut", help="With --approve: end its calls in progress as well.")] = False,
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Show the newest block orders with their status; or approve or deny one that waits."""
    from books import orders as stored_orders
    from core.alert_text import counted
    from ringfence import messages
    from services import blocks
    from services.installation import books

    settings, now_ms = options.settings_of(home), wall_clock_ms()
    with books(settings.installation) as conn:
        if approve or deny:
            if not why or (approve and deny):
                raise typer.BadParameter("use either --approve ORDER or --deny ORDER, with --why")
            try:
                if approve:
                    done = blocks.approve(conn, approve, options.login(who), why, now_ms, cut)
                else:
                    done = blocks.deny(conn, deny, options.login(who), why, now_ms)
            except stored_orders.Refused as refused:
                options.give_up(str(refused))
            stands = "stands" if len(done) == 1 else "stand"
            typer.echo(f"{counted(len(done), 'order')} {stands if approve else 'lifted'}.")
            if done and (later := messages.undelivered(blocks.undelivered(conn, now_ms), "this")):
                typer.echo(later)
            return
        found = stored_orders.select(conn, statuses=("waiting",) if waiting else (), count=last)
        if not found:
            typer.echo("No order waits for a person." if waiting else "There are no block orders yet.")
        for one in found:
            typer.echo(f"{one.order.order_id}  {one.status:10} {one.order.key.text()}  until {messages.date_time(one.order.expires_at_ms)}")
            typer.echo(f"    {one.order.reason}" + (f"\n    {one.status}: {one.status_why}" if one.status_why else ""))
