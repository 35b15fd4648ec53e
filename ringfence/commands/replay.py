"""`ringfence replay`: the same steps over a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.replay import Summary

EPILOG = """
**The mapping** is YAML: `columns` (our field: their column, or its number) and how values are written: `format` (csv, jsonl or json),
`delimiter`, `quote`, `line_breaks_in_fields`, `encoding`, `header`, `skip_lines`, `rows`, `timezone`, `zones`, `repeated_hour`, `time_format`,
`time_precision`, `duration_format`, `nothing`, `currency`, `decimal`, `thousands`, `amounts`, `percent_encoded`, `call_ids`, and `deck` (how the
deck is written). docs/files.md says what each can be. Our fields: tenant, call_id, attempt_no, account, ingress_trunk, carrier, egress_trunk,
a_number, b_number, setup, ringing, answer, end, duration_s, sell_amount, buy_amount, currency, sell_currency, buy_currency, sip_code, q850,
release_cause_text, release_side, src_ip, user_agent, lrn, attestation, imei, imsi, cell.

For a file with semicolons, local times and decimal commas:

```yaml
delimiter: ";"
timezone: Europe/Vienna
time_format: "%d.%m.%Y %H:%M:%S"
time_precision: s
currency: EUR
decimal: ","
columns: {account: Kunde, b_number: Nach, answer: Beginn, duration_s: Sekunden, sell_amount: Preis}
```

**It writes** `alerts.jsonl`, `block_orders.jsonl` (what would have been ordered), `calls.parquet`, `charges.parquet`,
`summary.json`, and every row that is not
simply priced, with its line, its reason and its money: `rejects.jsonl`, `unrated.jsonl`, `conflicts.jsonl`, `duplicates.jsonl`,
`suspected_duplicates.jsonl` and `notes.jsonl` (what was left out of a row).

**Examples**

`ringfence replay --calls june.csv --mapping mapping.yaml --out june/`

With a price list. It sells every call: the file's own sell amounts are set aside, and the summary says how many. A call that it has no rate for
is unrated, with the file's amount beside the reason:

`ringfence replay --calls june.csv --mapping mapping.yaml --deck prices.csv --out june/`
"""


def replay(
    calls: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="The file of calls: CSV or JSON.", show_default=False)
    ],
    mapping: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="What its columns mean (YAML).", show_default=False)],
    out: Annotated[Path, typer.Option(file_okay=False, help="The directory for the results.", show_default=False)],
    deck: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A rate deck (CSV) that sells every call; sell amounts of the file are set aside.",
            show_default=False,
        ),
    ] = None,
    books: Annotated[
        str,
        typer.Option(
            metavar="DSN", help="Books with accounts and decks; without them accounts register themselves.", show_default=False
        ),
    ] = "",
) -> None:
    """Price and judge a file of calls, as if they came live. No order ever reaches a switch."""
    from functools import partial

    from books import open_books
    from ringfence import options
    from services import replay as service
    from services.in_force import from_books

    engine = open_books(books) if books else None
    try:
        with _progress(calls) as show:
            if engine:
                summary = service.replay(calls, mapping, out, deck, show, partial(service.in_force, engine, from_books(engine)))
            else:
                summary = service.replay(calls, mapping, out, deck, show)
    except service.WRONG as wrong:
        options.give_up(str(wrong))
    finally:
        if engine:
            engine.dispose()
    for line in closing(out, summary):
        typer.echo(line)


@contextmanager
def _progress(calls: Path) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, fed with the rows that are done and those in all."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"reading {calls.name}", total=None, rows="")

        def show(done: int, total: int) -> None:
            if total:
                bar.update(task, description=f"judging {calls.name}", completed=done, total=total, rows=f"{done:,} of {total:,} rows")
            else:
                bar.update(task, rows=f"{done:,} rows")

        yield show


FEW = 5
"""Alerts and reasons that are printed at the end; the files have all."""
REASON = 160
"""Characters of a reason."""


def closing(out: Path, summary: Summary) -> list[str]:
    """What a person wants to know when it is done."""
    import msgspec

    from flows.replay import OUTPUTS, SUSPECTED

    lines = [f"{summary.received:,} records, {summary.records_per_s:,.0f} a second"]
    fates = ("rated", "unrated", "events", "rejected", "duplicates", "conflicts")
    lines += [f"  {name:12} {getattr(summary, name):>12,}" for name in fates if getattr(summary, name) or name == "rated"]
    lines += [f"    {count:,} x {reason[:REASON]}" for reason, count in list(summary.reasons.items())[:FEW]]
    if summary.suspected_duplicates:
        lines.append(
            f"  {summary.suspected_duplicates:>12,} rows have the id of an earlier one, or equal one: suspected duplicates, counted and priced "
            f"({SUSPECTED})"
        )
    lines += [f"  {count:>12,} rows were read without a part: {note[:REASON]}" for note, count in list(summary.notes.items())[:FEW]]
    for word, amounts in (("sold", summary.sell), ("bought", summary.buy)):
        lines.append(f"{word:14} " + (", ".join(f"{amount} {currency}" for currency, amount in amounts.items()) or "nothing"))
    lines.append(f"alerts         {summary.alerts:,}")
    with (out / "alerts.jsonl").open("rb") as alerts:
        for line in islice(alerts, FEW):
            alert = msgspec.json.decode(line)
            at = datetime.fromtimestamp(alert["detected_at_ms"] / 1000, UTC)
            lines.append(f"  {at:%Y-%m-%d %H:%M:%S}  {alert['tenant']}: {alert['reason']}")
    if summary.alerts > FEW:
        lines.append(f"  ... and {summary.alerts - FEW:,} more in alerts.jsonl")
    lines.append(f"block orders   {summary.block_orders:,} that would have been; none has reached a switch")
    lines.append(f"results        {out}: {', '.join(OUTPUTS)}")
    return lines
