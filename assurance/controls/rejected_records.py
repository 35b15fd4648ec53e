"""Which records could not be read?"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assurance.controls.protocol import Control, Facts, Item, moment, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`records`: see `warehouse.control_queries`."""
    wanted = facts.frames["records"].filter(pl.col("disposition").is_in(["reject", "conflict"]))
    groups = wanted.group_by("switch", "disposition", "reason").agg(pl.col("records").sum(), pl.col("oldest_ms").min())
    items = (
        Item(f"switch {row['switch'] or '(unknown)'}, {row['disposition']}: {row['reason']} (oldest {moment(row['oldest_ms'])})", row["records"])
        for row in groups.iter_rows(named=True)
    )
    return total(facts, "records", "records"), items


CONTROL = Control(
    name="rejected_records",
    asks="every record could be read",
    formula="rejects and conflicts by switch and reason, with the age of the oldest",
    tolerance="none",
    schedule="daily",
    money="not known: the record could not be read",
    remedy="correct the cause, then `ringfence recycle`",
    needs=("records",),
    find=find,
)
