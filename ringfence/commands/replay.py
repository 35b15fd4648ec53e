"""`ringfence replay`: the same steps over a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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

**It writes** `alerts.jsonl`, `block_orders.jsonl` (what would have been ordered), `rated.parquet`, `summary.json`, and every row that is not
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
    from ringfence import options, replaying

    try:
        summary = replaying.run(calls, mapping, out, deck, books)
    except replaying.WRONG as wrong:
        options.give_up(str(wrong))
    for line in replaying.closing(out, summary):
        typer.echo(line)
