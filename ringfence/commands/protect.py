"""`ringfence protect`: numbers, accounts and trunks that are never blocked."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Json, Who, Why

EPILOG = """
Emergency and crisis lines are on the list from the first start. Add the operator's own: hospitals, regulators, its own lines and trunks.
A change takes effect at once: orders that overlap the entry end, and the switches let its calls pass before any look-up.

**Examples**

`ringfence protect --number 4314040 --why "general hospital, with its extensions"`

`ringfence protect --trunk noc-test --why "our own"`

`ringfence protect` shows the list; `ringfence protect --remove --number 4314040 --why "moved"` takes it off.
"""


def protect(
    number: Annotated[
        str, typer.Option(help="A number with its country code, or a short number as it is dialled.", show_default=False)
    ] = "",
    account: Annotated[str, typer.Option(help="An account.", show_default=False)] = "",
    trunk: Annotated[str, typer.Option(help="A trunk.", show_default=False)] = "",
    tenant: Annotated[str, typer.Option(help="Only this tenant's account or trunk.", show_default="every tenant's of that name")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take it off the list.")] = False,
    why: Why = "",
    who: Who = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Show or change the numbers, accounts and trunks whose calls always pass."""
    import msgspec

    from books import lists
    from core.config import path
    from ringfence import messages
    from services import blocks, protected
    from services.installation import books

    named = {kind: value for kind, value in (("number", number), ("account", account), ("trunk", trunk)) if value}
    with books(options.settings_of(home).installation) as conn:
        if not named:
            entries = lists.every(conn, "protected")
            if as_json:
                typer.echo(msgspec.json.encode([entry._asdict() for entry in entries]).decode())
            else:
                for entry in entries:
                    typer.echo(f"{entry.kind:8} {path(entry.tenant, entry.value):16} {entry.why}")
            return
        if len(named) > 1 or not why:
            raise typer.BadParameter("use one of --number, --account and --trunk, with --why")
        ((kind, typed),) = named.items()
        now_ms = wall_clock_ms()
        value = protected.change(conn, kind, typed, remove, options.login(who), why, now_ms, tenant)  # type: ignore[arg-type]
        later = messages.undelivered(blocks.undelivered(conn, now_ms), "this")
    read = messages.as_read(typed, value) if kind == "number" else ""
    typer.echo(f"{kind} {value}{read} is {'no longer protected' if remove else 'protected'}{' in the books' if later else ''}.")
    if later:
        typer.echo(later)
