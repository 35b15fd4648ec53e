"""Is a file shorter than files of its source are?"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assurance.controls.protocol import Control, Facts, Item

LEAST_FILES, SHARE = 5, 0.1


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`files`: `source`, `name`, `size_bytes`, `least_bytes`, `modified_ms`, of the period and of 35 days before it."""
    files = facts.frames["files"].with_columns(
        pl.col("size_bytes").median().over("source").alias("normal"), pl.len().over("source").alias("there")
    )
    now = files.filter(pl.col("modified_ms") >= facts.from_ms)
    is_short = (pl.col("there") >= LEAST_FILES) & (pl.col("size_bytes") < SHARE * pl.col("normal"))
    items = (
        Item(f"source {row['source']}: {row['name']} has {row['size_bytes']:,} bytes, normally {row['normal']:,.0f}")
        for row in now.filter(is_short | (pl.col("size_bytes") < pl.col("least_bytes"))).iter_rows(named=True)
    )
    return now.height, items


CONTROL = Control(
    name="file_size",
    asks="no file is empty or cut off",
    formula="size against `least_bytes` of its source, and against a tenth of the median of its files",
    tolerance="a source with fewer than 5 files has no normal yet",
    schedule="hourly",
    money="not known: nobody has seen the calls that are not in the file",
    remedy="ask for the file again",
    needs=("files",),
    find=find,
)
