"""Did files come as often as they should?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import polars as pl

from assurance.controls.protocol import Control, Facts, Item, moment

SLACK = 1.5


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`files`: `source`, `modified_ms` (when it came to the server), `every_ms` (0 = not promised), of the period and of 35 days before it."""
    promised = facts.frames["files"].filter(pl.col("every_ms") > 0).sort("source", "modified_ms")
    items, looked = [], 0
    for (source,), files in promised.group_by("source", maintain_order=True):
        every_ms = int(files["every_ms"][-1])
        times = [*files["modified_ms"].to_list(), min(facts.to_ms, facts.now_ms)]
        for before, after in pairwise(times):
            if after < facts.from_ms:
                continue
            looked += 1
            if after - before > SLACK * every_ms:
                hours = (after - before) / 3_600_000
                words = f"source {source}: no file from {moment(before)} to {moment(after)} UTC ({hours:,.1f} h), one per {every_ms / 3_600_000:g} h"
                items.append(Item(words, round((after - before) / every_ms) - 1))
    return looked, iter(items)


CONTROL = Control(
    name="file_arrival",
    asks="files come as often as was promised",
    formula="time between two files of a source, and since the last one, against `every`",
    tolerance="half of `every`",
    schedule="hourly",
    money="not known: nobody has seen the calls of the files",
    remedy="ask whether the other side's export runs, and whether `ringfence pickup` does",
    needs=("files",),
    find=find,
)
