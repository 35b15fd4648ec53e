"""`ringfence orders`: what was ordered, and a person's word on what waits."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Who, Why

EPILOG = """
An order waits for a person when a limit is reached (orders per minute, distinct callers, share of the last hour's calls), when it
meets the allow list, or when the policy leaves it to people: calls to numbers that cannot be read or priced (`unpriced_blocks: ask`).
It is never dropped silently, and never enforced without that person's approval.

**Examples**

`ringfence orders --waiting`

`ringfence orders --approve order-ba9bdfc51d3b86e75236 --why "confirmed with the customer"`

`ringfence orders --deny order-ba9bdfc51d3b86e75236 --why "their yearly campaign"`
"""


def orders(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for a person.")] = False,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20,
    approve: Annotated[
        str, typer.Option(metavar="ORDER", help="Let a waiting order, and all of its key, stand.", show_default=False)
    ] = "",
    deny: Annotated[str, typer.Option(metavar="ORDER", help="Lift it; its key stays lifted for a day.", show_default=False)] = "",
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """The newest block orders and what became of each; or approve or deny one that waits."""
    from books import orders as kept_orders
    from core.alert_text import counted
    from ringfence import messages
    from services import blocks
    from services.installation import books

    settings, now_ms = options.settings_of(home), wall_clock_ms()
    with books(settings.installation) as conn:
        if approve or deny:
            if not why or (approve and deny):
                raise typer.BadParameter("--approve ORDER or --deny ORDER, one of the two, and --why")
            try:
                if approve:
                    done = blocks.approve(conn, approve, options.login(who), why, now_ms)
                else:
                    done = blocks.deny(conn, deny, options.login(who), why, now_ms)
            except kept_orders.Refused as refused:
                options.give_up(str(refused))
            stands = "stands" if len(done) == 1 else "stand"
            typer.echo(f"{counted(len(done), 'order')} {stands if approve else 'lifted'}.")
            if done and (later := messages.undelivered(blocks.undelivered(conn, now_ms), "this")):
                typer.echo(later)
            return
        found = kept_orders.select(conn, statuses=("waiting",) if waiting else (), count=last)
        if not found:
            typer.echo("No order waits for a person." if waiting else "Nothing was ordered yet.")
        for kept in found:
            typer.echo(
                f"{kept.order.order_id}  {kept.status:10} {kept.order.key.text()}  until {_time(kept.order.expires_at_ms)}"
            )
            typer.echo(f"    {kept.order.reason}" + (f"\n    {kept.status}: {kept.status_why}" if kept.status_why else ""))


def _time(at_ms: int) -> str:
    """A moment, UTC.

    >>> _time(1_700_000_000_000)
    '2023-11-14 22:13:20'
    """
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
