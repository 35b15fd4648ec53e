"""`ringfence calls`: the newest calls."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from ringfence import options
from ringfence.options import Account, Home, Json, Tenant

EPILOG = """
**Examples**

`ringfence calls --last 20`

`ringfence calls --last 5 --account acme --json`: a JSON object a line, with `a_number`, `b_number`, `duration_s`, `sell`, `buy`,
`disposition` and more.
"""


def calls(
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20,
    account: Account = "",
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """The calls that ended last, newest first: number, duration, sell, buy, disposition."""
    from ringfence import reading
    from warehouse import ask, queries

    with reading.warehouse(options.settings_of(home)) as client:
        rows = ask(client, queries.last_calls(last, account, tenant))
    if as_json:
        for row in rows:
            typer.echo(line(row))
    else:
        show(rows)


def line(row: dict[str, Any]) -> str:
    """A call as JSON. Money is decimal text, times are ISO 8601.

    >>> line({"duration_ms": 2004, "sell": Decimal("0.0200"), "answer_at": None})
    '{"duration_s":2.004,"sell":"0.02","answer_at":null}'
    """
    import msgspec

    found: dict[str, Any] = {}
    for name, value in row.items():
        if name == "duration_ms":
            found["duration_s"] = None if value is None else value / 1000
        else:
            found[name] = amount(value) if isinstance(value, Decimal) else value
    return msgspec.json.encode(found).decode()


def amount(value: Decimal | None) -> str | None:
    """Plain digits without trailing zeros; None stays None.

    >>> amount(Decimal("0.010000000")), amount(Decimal("100")), amount(None)
    ('0.01', '100', None)
    """
    if value is None:
        return None
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def show(rows: list[dict[str, Any]]) -> None:
    """A table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (("ended", "left"), ("account", "left"), ("from", "left"), ("number", "left"), ("seconds", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("sell", "buy"):
        table.add_column(name, justify="right")
    table.add_column("disposition")
    for row in rows:
        ended = row["end_at"] or row["learned_at"]
        seconds = "" if row["duration_ms"] is None else f"{row['duration_ms'] / 1000:.1f}"
        fate = row["disposition"] + (" (hung)" if row["suspected_hung"] else "") + (f": {row['reason']}" if row["reason"] else "")
        table.add_row(
            f"{ended:%m-%d %H:%M:%S}",
            row["account"] or row["ingress_trunk"],
            row["a_number"] or "-",
            row["b_number"] or "-",
            seconds,
            money(row["sell"], row["sell_currency"]),
            money(row["buy"], row["buy_currency"]),
            fate,
        )
    Console().print(table)


def money(value: Decimal | None, currency: str) -> str:
    return "" if value is None else f"{amount(value)} {currency}".strip()
