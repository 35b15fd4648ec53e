"""`ringfence controls`: is the money right, and is all of it there?"""

from __future__ import annotations

from typing import Annotated

import typer

from core.clock import wall_clock_ms
from core.money import to_decimal
from core.text import amount, visible
from ringfence import messages, options
from ringfence.options import Home, Json, Tenant

EPILOG = """
*passed*: everything that it looks at was looked at, and nothing was found. *found*: something was, with its money. *not checked*: it could not be
checked, or there was nothing to look at; it is never counted as passed. Every run is kept: `--history NAME` shows them.

The exit code is 1 if anything was found.

**Examples**

`ringfence controls --period 2026-10`

`ringfence controls --period 2026-10-31 --only unbilled_calls --only rating_verification`

`ringfence controls --list`
"""

COLOURS = {"passed": typer.colors.GREEN, "found": typer.colors.RED, "not_checked": typer.colors.YELLOW}
SHOWN = 5


def controls(
    period: Annotated[str, typer.Option(help="A month (2026-10), a day, or FIRST..LAST day, UTC.", show_default=False)] = "",
    only: Annotated[list[str] | None, typer.Option(help="Only this control; may be used several times.", show_default=False)] = None,
    list_: Annotated[bool, typer.Option("--list", help="What each control asks, and what it does not ask.")] = False,
    history: Annotated[str, typer.Option(help="The earlier runs of this control.", show_default=False)] = "",
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Ask every control of the money about a period."""
    import msgspec

    from assurance.controls.registry import controls as registered
    from books import control_results
    from services import controlling, periods
    from services.installation import books_as_they_are, tenant_of

    known = {one.name: one for one in registered()}
    if list_:
        for control in known.values():
            typer.secho(control.name, bold=True)
            typer.echo(f"  asks whether {control.asks} ({control.schedule})\n  {control.formula}; tolerance: {control.tolerance}\n  then: "
                f"{control.remedy}")
        return
    if unknown := {*(only or ()), *([history] if history else [])} - known.keys():
        raise typer.BadParameter(f"no control {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    installation = options.settings_of(home).installation
    if history:
        with books_as_they_are(installation) as conn:
            for kept in control_results.history(conn, tenant_of(conn, tenant), history):
                typer.echo(f"{messages.date_time(kept.at_ms)}  {_period(kept.period)}  {kept.result.status}  {kept.result.count:,} of "
                    f"{kept.result.checked:,}")
        return
    if not period:
        raise typer.BadParameter("which --period?")
    results = controlling.run(installation, tenant, periods.period_ms(period, "UTC"), wall_clock_ms(), tuple(only or ()))
    if as_json:
        typer.echo(msgspec.json.encode(results).decode())
    else:
        for one in results:
            money = ", ".join(f"{amount(to_decimal(nanos))} {unit}" for unit, nanos in one.money.items())
            count = f"{one.count:,} of {one.checked:,}" if one.status == "found" else f"{one.checked:,} checked"
            count = one.why_not or count
            typer.secho(f"{one.status.replace('_', ' '):11s}  {one.control:28s}  {visible(count)}{'  ' + money if money else ''}",
                fg=COLOURS[one.status])
            for item in one.items[:SHOWN]:
                worth = f"  {amount(to_decimal(item.nanos))} {item.currency}" if item.nanos else ""
                typer.echo(f"             {visible(item.what)}{worth}")
            if one.items:
                typer.secho(f"             then: {known[one.control].remedy}", dim=True)
    raise typer.Exit(1 if any(one.status == "found" for one in results) else 0)


def _period(text: str) -> str:
    first, _, last = text.partition("..")
    return f"{messages.day(int(first))} to {messages.day(int(last) - 1)}"
