"""Did every numbered file come?"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assurance.controls.protocol import Control, Facts, Item


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`files`: `source`, `name`, `number` (-1 = none), `modified_ms`, of the period and of 35 days before it."""
    numbered = facts.frames["files"].filter(pl.col("number") >= 0).sort("source", "number")
    before = numbered.with_columns(pl.col("number").shift(1).over("source").alias("before"))
    now = before.filter(pl.col("modified_ms") >= facts.from_ms)
    gaps = now.filter(pl.col("number") > pl.col("before") + 1)
    items = (
        Item(f"source {row['source']}: files {row['before'] + 1} to {row['number'] - 1} never came ({row['name']} did)",
            row["number"] - row["before"] - 1)
        for row in gaps.iter_rows(named=True)
    )  # fmt: skip
    return now.height, items


CONTROL = Control(
    name="file_sequence",
    asks="every numbered file came",
    formula="numbers missing between two files of a source",
    tolerance="none",
    schedule="hourly",
    money="not known: nobody has seen the calls of the file",
    remedy="ask for the file again; `ringfence pickup` takes it as soon as it is there",
    needs=("files",),
    find=find,
)
