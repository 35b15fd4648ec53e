"""Which ends have no account?"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assurance.controls.protocol import Control, Facts, Item, moment, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`records`: see `warehouse.control_queries`."""
    wanted = facts.frames["records"].filter((pl.col("event") == "stop") & (pl.col("disposition") == "unrated") & (pl.col("whose") == ""))
    groups = wanted.group_by("switch").agg(pl.col("records").sum(), pl.col("oldest_ms").min())
    items = (
        Item(f"switch {row['switch']}: {row['records']} ends of calls without an account (oldest {moment(row['oldest_ms'])})", row["records"])
        for row in groups.iter_rows(named=True)
    )
    return total(facts, "records", "records"), items


CONTROL = Control(
    name="orphans",
    asks="each end of a call has an account that owes for it",
    formula="stops without an account, by switch",
    tolerance="none",
    schedule="daily",
    money="not known: nobody is named who owes for it",
    remedy="`ringfence completeness` and the switch's authentication: who called?",
    needs=("records",),
    find=find,
)
