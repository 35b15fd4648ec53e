"""`ringfence margins`: what each reseller takes, pays and keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from core.money import to_nanos, to_text
from core.text import amount
from ringfence import options
from ringfence.options import Home, Json, Tenant

EPILOG = """
A call of a reseller's customer is charged once per level. Of each reseller: what the level below pays for its calls, what it pays itself by its own
agreement, and what it keeps. Where those are two currencies nothing is subtracted.

**Examples**

`ringfence margins`

`ringfence margins --from 2026-11-01 --json`
"""


def margins(
    start: Annotated[str, typer.Option("--from", help="Calls that were learned of since this day (UTC). Default: all.", show_default=False)] = "",
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Show what each reseller takes, pays and keeps, level by level."""
    import json

    from services import reading
    from warehouse import ask, queries

    with reading.warehouse(options.settings_of(home).installation) as client:
        rows = ask(client, queries.margins(_day(start) if start else 0, tenant))
    if as_json:
        typer.echo(json.dumps([{name: _plain(name, value) for name, value in row.items()} for row in rows]))
        return
    if not rows:
        typer.echo("No call has been charged to a reseller.")
        return
    typer.secho(_line("level", "reseller", "calls", "takes", "pays", "keeps"), dim=True)
    for row in rows:
        keeps = "" if row["keeps"] is None else f"{amount(row['keeps'], 2)} {row['pays_currency']}"
        takes, pays = (f"{amount(row[name], 2)} {row[f'{name}_currency']}" for name in ("takes", "pays"))
        typer.echo(_line(str(row["level"]), row["party"], f"{row['calls']:,}", takes, pays, keeps))


def _line(*columns: str) -> str:
    level, party, calls, takes, pays, keeps = columns
    return f"{level:>5}  {party:24.24} {calls:>10} {takes:>18} {pays:>18} {keeps:>18}"


def _plain(name: str, value: Any) -> Any:
    return to_text(to_nanos(value)) if name in ("takes", "pays", "keeps") and value is not None else value


def _day(text: str) -> int:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--from {text!r} is no date: write 2026-11-01") from None
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
