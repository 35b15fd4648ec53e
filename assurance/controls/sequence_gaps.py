"""Did every record of each switch arrive?"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`gaps`: `switch`, `boot_id`, `first`, `last`, `missing`, a row per gap (`assurance.controls.sequence`); `records` and `trunks`: records and
    sales per switch."""
    records = dict(facts.frames["records"].group_by("switch").agg(pl.col("records").sum()).iter_rows())
    sales = facts.frames["trunks"].group_by("switch").agg(pl.col("nanos").sum(), pl.col("currency").first())
    worth = {switch: (nanos // max(records.get(switch, 0), 1), currency) for switch, nanos, currency in sales.iter_rows()}

    def found() -> Iterator[Item]:
        for row in rows(facts, "gaps"):
            nanos, currency = worth.get(row["switch"], (0, ""))
            whole = row["missing"] == row["last"] - row["first"] + 1
            which = f"records {row['first']} to {row['last']}" if whole else f"{row['missing']:,} of the records {row['first']} to {row['last']}"
            yield Item(f"switch {row['switch']}, boot {row['boot_id']}: {which} never arrived", row["missing"], nanos * row["missing"], currency)

    return total(facts, "records", "records"), found()


CONTROL = Control(
    name="sequence_gaps",
    asks="every record that a switch numbered has arrived",
    formula="numbers missing between two numbers of one boot, of gaps that were seen in the period",
    tolerance="none",
    schedule="hourly",
    money="records missing x the average sale per record of the switch, an estimate",
    remedy="post the switch's spool again, or read the calls from its own files",
    needs=("gaps", "records", "trunks"),
    find=find,
)
