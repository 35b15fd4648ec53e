"""Did a file come twice, or with two contents?"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assurance.controls.protocol import Control, Facts, Item


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`files`: `source`, `name`, `sha256`, `size_bytes`, `modified_ms`, of the period and of 35 days before it."""
    files = facts.frames["files"].filter(pl.col("size_bytes") > 0).sort("source", "modified_ms", "name")
    now = pl.col("modified_ms").max() >= facts.from_ms
    same = files.group_by("source", "sha256", maintain_order=True).agg("name", now.alias("now"), pl.len().alias("times"))
    other = files.group_by("source", "name", maintain_order=True).agg(now.alias("now"), pl.len().alias("times"))
    several = pl.col("now") & (pl.col("times") > 1)

    def found() -> Iterator[Item]:
        for row in same.filter(several).iter_rows(named=True):
            yield Item(f"source {row['source']}: {' and '.join(row['name'])} have the same content; it is kept once", row["times"] - 1)
        for row in other.filter(several).iter_rows(named=True):
            yield Item(f"source {row['source']}: {row['name']} came with {row['times']} different contents; all are kept", row["times"] - 1)

    return files.filter(pl.col("modified_ms") >= facts.from_ms).height, found()


CONTROL = Control(
    name="file_duplicates",
    asks="no file came twice, and none was replaced",
    formula="files of a source with the same content (SHA-256) under several names, and names with several contents; empty ones are left out",
    tolerance="none",
    schedule="daily",
    money="not known until the calls of the files are compared",
    remedy="ask which of the files counts; rate only that one",
    needs=("files",),
    find=find,
)
