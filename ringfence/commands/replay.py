"""`ringfence replay`: prices and judges a file of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringfence.messages import date_time

if TYPE_CHECKING:
    from flows.replay import Summary

EPILOG = """
**The mapping** is YAML: `columns` (our field: their column, or its number) and how values are written: `format` (csv, jsonl, json or parquet),
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

**It writes** `alerts.jsonl`, `block_orders.jsonl` (what would have been ordered), `waiting_orders.jsonl` (what a person would have to approve),
`calls.parquet`, `charges.parquet`,
`summary.json`, and every row that is not simply priced, with its line, its reason and its money: `rejects.jsonl`, `unrated.jsonl`,
`conflicts.jsonl`, `duplicates.jsonl`, `suspected_duplicates.jsonl` and `notes.jsonl` (fields of a row that were ignored).

**Examples**

`ringfence replay --calls june.csv --mapping mapping.yaml --out june/`

With a price list, which prices every call: the file's own sell amounts are ignored, and the summary counts them. A call without a rate in it is
unrated, with the file's amount beside the reason:

`ringfence replay --calls june.csv --mapping mapping.yaml --deck prices.csv --out june/`
"""


def replay(
    calls: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="The file of calls: CSV, JSON or Parquet.", show_default=False)
    ],
    mapping: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The mapping of its columns (YAML).", show_default=False)],
    out: Annotated[Path, typer.Option(file_okay=False, help="The directory for the results.", show_default=False)],
    deck: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A rate deck (CSV) that prices every call; sell amounts of the file are ignored.",
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
    """Price and judge a file of calls as if they were live. No order ever reaches a switch."""
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
    for line in summary_lines(out, summary):
        typer.echo(line)


@contextmanager
def _progress(calls: Path) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr; the yielded function takes the number of rows done and the total."""
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


SHOWN = 5
"""How many alerts and reasons are printed at the end; the files have all of them."""
REASON_CHARS = 160


def summary_lines(out: Path, summary: Summary) -> list[str]:
    """The text that is printed at the end."""
    import msgspec

    from flows.replay import OUTPUTS, SUSPECTED

    lines = [f"{summary.received:,} records, {summary.records_per_s:,.0f} per second"]
    dispositions = ("rated", "unrated", "events", "rejected", "duplicates", "conflicts")
    lines += [f"  {name:12} {getattr(summary, name):>12,}" for name in dispositions if getattr(summary, name) or name == "rated"]
    lines += [f"    {count:,} x {reason[:REASON_CHARS]}" for reason, count in list(summary.reasons.items())[:SHOWN]]
    if summary.suspected_duplicates:
        lines.append(
            f"  {summary.suspected_duplicates:>12,} rows have the id of an earlier row, or are equal to one: suspected duplicates, counted and "
            f"priced ({SUSPECTED})"
        )
    notes = list(summary.notes.items())[:SHOWN]
    lines += [f"  {count:>12,} rows were read without a field: {note[:REASON_CHARS]}" for note, count in notes]
    for side, amounts in (("sold", summary.sell), ("bought", summary.buy)):
        lines.append(f"{side:14} " + (", ".join(f"{amount} {currency}" for currency, amount in amounts.items()) or "nothing"))
    lines.append(f"alerts         {summary.alerts:,}")
    with (out / "alerts.jsonl").open("rb") as alerts:
        for line in islice(alerts, SHOWN):
            alert = msgspec.json.decode(line)
            lines.append(f"  {date_time(alert['detected_at_ms'])}  {alert['tenant']}: {alert['reason']}")
    if summary.alerts > SHOWN:
        lines.append(f"  ... and {summary.alerts - SHOWN:,} more in alerts.jsonl")
    for name, one in summary.detectors.items():
        money = "".join(f", {amount} {currency}" for currency, amount in one["money"].items())
        lines.append(f"  {name:14} {one['alerts']:>10,} alerts; its orders would have refused {one['calls']:,} calls{money}")
    lines += [f"  {name:14} not observable: the file has no {', '.join(missing)}" for name, missing in summary.not_observable.items()]
    lines.append(f"block orders   {summary.block_orders:,} would have been issued; a replay sends none to a switch")
    lines.append(f"results        {out}: {', '.join(OUTPUTS)}")
    return lines
