"""`ringfence calls`: the newest calls."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from core.money import to_nanos, to_text
from ringfence import options
from ringfence.options import Account, Home, Json, Tenant

EPILOG = """
**Examples**

`ringfence calls --last 20`

`ringfence calls --last 5 --account acme --json`: a JSON array, one call per line, with `number`, `duration_s`, `sell`, `buy`,
`disposition` and more.
"""


def calls(
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20,
    account: Account = "",
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Show the calls that ended last, newest first: number, duration, sell, buy, disposition."""
    from services import reading
    from warehouse import ask, queries

    with reading.warehouse(options.settings_of(home).installation) as client:
        rows = ask(client, queries.last_calls(last, account, tenant))
    if as_json:
        typer.echo("[" + ",\n ".join(map(line, rows)) + "]")
    elif rows:
        show(rows)
    else:
        typer.echo("No call has ended yet" + (f" of account {account}." if account else "."))


def line(row: dict[str, Any]) -> str:
    """A call as JSON, the main fields first. Money is decimal text, times are ISO 8601 in UTC.

    >>> line({"account": "acme", "b_number": "431234567", "duration_ms": 2004, "sell": Decimal("0.0200"), "buy": None,
    ...       "disposition": "unrated", "answer_at": datetime(2026, 1, 1)})
    '{"number":"431234567","duration_s":2.004,"sell":"0.02","buy":null,"disposition":"unrated","account":"acme",\
"answer_at":"2026-01-01T00:00:00Z"}'
    """
    import msgspec

    rest = dict(row)
    number, duration_ms = rest.pop("b_number"), rest.pop("duration_ms")
    found: dict[str, Any] = {"number": number, "duration_s": None if duration_ms is None else duration_ms / 1000}
    found |= {name: rest.pop(name) for name in ("sell", "buy", "disposition")} | rest
    return msgspec.json.encode({name: _plain(value) for name, value in found.items()}).decode()


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return to_text(to_nanos(value))
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def show(rows: list[dict[str, Any]]) -> None:
    """Print a table of 80 columns; a reason may run beyond them."""
    units = {side: sorted({row[f"{side}_currency"] for row in rows} - {""}) for side in ("sell", "buy")}
    heads = [f"{side} {found[0]}" if len(found) == 1 else side for side, found in units.items()]
    typer.secho(_line("ended", "account", "number", "seconds", *heads, "disposition"), dim=True)
    for row in rows:
        ended = row["end_at"] or row["learned_at"]
        seconds = "" if row["duration_ms"] is None else f"{row['duration_ms'] / 1000:.1f}"
        money = [
            f"{'' if row[side] is None else to_text(to_nanos(row[side]))} {'' if len(found) == 1 else row[f'{side}_currency']}".strip()
            for side, found in units.items()
        ]
        fate = row["disposition"] + (" (hung)" if row["suspected_hung"] else "") + (f": {row['reason']}" if row["reason"] else "")
        who = row["account"] or row["ingress_trunk"]
        typer.echo(_line(f"{ended:%H:%M:%S}", who, row["b_number"] or "-", seconds, *money, fate))


def _line(*columns: str) -> str:
    ended, account, number, seconds, sell, buy, fate = columns
    return f"{ended:8} {account:11.11} {number:15} {seconds:>7} {sell:>11} {buy:>11} {fate}"
