"""`ringfence retention`: what is stored where, for how long, and which readers have not read it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import messages, options
from ringfence.options import Home, Json, Who

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ringfence.settings import Settings

EPILOG = """
Each part removes expired data by itself, every hour or when a segment is full. `apply` does it now. Both follow the settings
(RINGFENCE_JOURNAL_DAYS, RINGFENCE_RECORDS_DAYS and others; all are in `.env.example`), and neither removes from the journal what a
reader has not read.

**Examples**

`ringfence retention`

`ringfence retention apply`

Stop waiting for a reader that will never come back: `ringfence retention apply --forget watch`

The audit is removed only when a person asks for it: `ringfence retention apply --audit-days 800`
"""

app = typer.Typer(
    no_args_is_help=False,
    epilog=EPILOG,
    rich_markup_mode="markdown",
    help="What is stored where, for how long, and which readers have not read it yet.",
)


@app.callback(invoke_without_command=True)
def retention(context: typer.Context, as_json: Json = False, home: Home = None) -> None:
    """Show what is stored where, how much, since when, and which readers have not read it yet."""
    if context.invoked_subcommand is not None:
        return
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from services import retention as service

    settings = _home(home)
    found = service.look(settings.installation)
    free = service.free_bytes(settings.installation)
    if as_json:
        typer.echo(msgspec.json.encode({"kept": [one._asdict() for one in found], "free_bytes": free}).decode())
        return
    table = Table("where", "what", "MB", "since (UTC)", "kept for", "unread", "", box=None, pad_edge=False)
    for one in found:
        table.add_row(
            one.where,
            one.what,
            "" if one.size_bytes is None else f"{one.size_bytes / 1e6:,.1f}",
            "" if one.since_ms is None else messages.day(one.since_ms),
            one.rule,
            ", ".join(f"{reader} {left:,}" for reader, left in one.readers.items()),
            one.note,
        )
    Console(soft_wrap=True).print(table)
    typer.echo(f"{free / 1e9:,.1f} GB are free at {settings.root}.")


@app.command(epilog=EPILOG)
def apply(
    audit_days: Annotated[
        float,
        typer.Option(
            "--audit-days", min=0, help="Remove lines of the audit log that are older; asks first.", show_default=False
        ),
    ] = 0.0,
    forget: Annotated[
        str, typer.Option("--forget", metavar="READER", help="Stop waiting for this reader of the journal; asks first.", show_default=False)
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    who: Who = "",
    home: Home = None,
) -> None:
    """Remove expired data from journal, warehouse and books now. All parts may run meanwhile; what only a running part can remove, it is asked
    to remove. The spools of a switch and of the collector are not touched."""
    from books import BooksError
    from journal import JournalError
    from services import retention as service
    from warehouse import WarehouseError

    settings = _home(home)
    if audit_days and not yes:
        typer.confirm(f"Remove all lines of the audit log that are older than {audit_days:g} days, permanently?", abort=True)
    if forget and not yes:
        typer.confirm(f"Stop waiting for {forget}? Records that it has not read may be removed; it reports the gap when it returns.", abort=True)
    now_ms = wall_clock_ms()
    failed, removed = [], 0
    actions: tuple[Callable[[], list[str]], ...] = (
        lambda: service.apply_journal(settings.installation, now_ms, forget),
        lambda: service.apply_warehouse(settings.installation, now_ms),
        lambda: service.apply_books(settings.installation, now_ms, audit_days, options.login(who)),
    )
    for action in actions:
        try:
            for line in action():
                typer.echo(f"  {line}")
                removed += 1
        except (service.NotApplied, JournalError, WarehouseError, BooksError) as error:
            failed.append(str(error))
    if not removed and not failed:
        typer.echo("No data has expired.")
    if failed:
        options.give_up("\n".join(failed))


def _home(home: Path | None) -> Settings:
    settings = options.settings_of(home)
    if not settings.state_dir.is_dir():
        options.give_up(f"{settings.root} is not a home of Ringfence: name the --home.")
    return settings
