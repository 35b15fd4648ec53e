"""Which answered calls have no price?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`unrated`: see `warehouse.control_queries`."""
    items = (Item(f"account {row['account'] or '(none)'}: {row['reason']} (oldest {row['oldest']})", row["records"], row["nanos"],
        row["currency"]) for row in rows(facts, "unrated"))
    return total(facts, "records", "records"), items


CONTROL = Control(
    name="unrated_calls",
    asks="every answered call has a price",
    formula="answered calls that could not be rated, by account and reason, with the age of the oldest",
    tolerance="none",
    schedule="daily",
    money="their length x the average sale per second of the account, an estimate",
    remedy="add the rate or the agreement, then `ringfence recycle`",
    needs=("unrated", "records"),
    find=find,
)
