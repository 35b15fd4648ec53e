"""Which answered calls have no price?"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assurance.controls.protocol import Control, Facts, Item, moment, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`records`: see `warehouse.control_queries`; `rates`: see `assurance.controls.by_call`."""
    wanted = facts.frames["records"].filter((pl.col("disposition") == "unrated") & pl.col("event").is_in(["stop", "partial"]))
    groups = wanted.group_by("whose", "reason").agg(pl.col("records", "talk_ms").sum(), pl.col("oldest_ms").min())
    rates = {row["account"]: (row["nanos"], max(row["seconds"], 1), row["currency"]) for row in reversed(list(rows(facts, "rates")))}

    def found() -> Iterator[Item]:
        for row in groups.iter_rows(named=True):
            nanos, seconds, currency = rates.get(row["whose"], (0, 1, ""))
            words = f"account {row['whose'] or '(none)'}: {row['reason']} (oldest {moment(row['oldest_ms'])})"
            yield Item(words, row["records"], row["talk_ms"] * nanos // (1000 * seconds), currency)

    return total(facts, "records", "records"), found()


CONTROL = Control(
    name="unrated_calls",
    asks="every answered call has a price",
    formula="answered calls that could not be rated, by account and reason, with the age of the oldest",
    tolerance="none",
    schedule="daily",
    money="their length x the average sale per second of the account, an estimate",
    remedy="add the rate or the agreement, then `ringfence recycle`",
    needs=("records", "rates"),
    find=find,
)
