"""`ringfence unblock`: a person lifts a block, or all of them."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Account, ANumber, BRange, Home, Tenant, Trunk, Who, Why

EPILOG = """
**Examples**

The key as it was blocked, or a wider one; for a day no automatic order that overlaps it takes effect:

`ringfence unblock --account acme --b-range 88213 --why "customer called, it is theirs"`

All blocks off, at every switch, now. It needs only the books; the collector, judge and dispatcher may all be down:

`ringfence unblock --all --why "calls are refused that should not be"`

Put blocks in force again:

`ringfence unblock --clear-hold --why "mended"`
"""


def unblock(
    why: Why,
    account: Account = "",
    trunk: Trunk = "",
    a_number: ANumber = "",
    b_range: BRange = "",
    hold_all: Annotated[
        bool, typer.Option("--all", help="Hold every switch: all blocks off until a person clears it.")
    ] = False,
    clear_hold: Annotated[bool, typer.Option("--clear-hold", help="End the hold: blocks act again.")] = False,
    for_: Annotated[str, typer.Option("--for", help="How long automatic orders that overlap the key take no effect.")] = "24h",
    tenant: Tenant = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Let calls pass again, and prevent automatic orders from blocking them again."""
    from books import BooksError, open_books
    from core.alert_text import counted
    from ringfence import messages
    from services import blocks
    from services.errors import NoInstallation
    from services.installation import books, tenant_of

    settings, name, now_ms = options.settings_of(home), options.login(who), wall_clock_ms()
    if hold_all or clear_hold:
        if (hold_all and clear_hold) or account or trunk or a_number or b_range:
            raise typer.BadParameter("--all and --clear-hold apply to every key at every switch: use one of them, and name no key")
        if not settings.installation.has_books:
            raise NoInstallation(f"There are no books under {settings.root}: start `ringfence up` once, or name the --home.")
        engine = open_books(settings.books_dsn)
        try:
            result = blocks.hold(engine, hold_all, name, why, now_ms)
        except BooksError:
            if hold_all:  # only the books have the addresses of the switches
                typer.echo("No switch is on hold. To hold a switch on its own machine: `touch RUN/hold` (docs/operators.md).", err=True)
            raise
        finally:
            engine.dispose()
        for held in result.switches:
            done = "held: all blocks are off" if hold_all else "blocks act again"
            typer.echo(f"{held.switch}: {held.error or done}")
        if result.books_error:
            typer.echo(result.books_error)
        if not result.switches:
            typer.echo("There are no switches in the books.")
        raise typer.Exit(0 if result.ok else 1)
    with books(settings.installation) as conn:
        key = options.key_of(tenant_of(conn, tenant), account, trunk, a_number, b_range, blocks.plan(conn, account, trunk))
        for_ms = options.duration_ms(for_)
        try:
            lifted = blocks.unblock(conn, key, name, why, now_ms, for_ms)
        except ValueError as refused:
            options.give_up(f"Not lifted: {refused}")
        later = messages.undelivered(blocks.undelivered(conn, now_ms, key.tenant), "its end") if lifted.order_ids else ""
    typer.echo(f"{key.text()}: {counted(len(lifted.order_ids), 'order')} lifted; automatic orders that overlap it take no effect for {for_}.")
    for one in lifted.still:
        typer.echo(f"Still blocked by {one.order.by}: {one.order.key.text()} ({one.order.order_id}); lift that key as well if you mean it.")
    if later:
        typer.echo(later)
