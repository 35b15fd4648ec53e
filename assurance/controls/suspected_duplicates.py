"""Which calls look like the same call once more?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`suspects`: `account`, `b_number`, `at`, `apart_ms`, `calls`, `nanos`, `currency`."""
    items = (Item(f"account {row['account']}: two calls to {row['b_number']} around {row['at']}, {row['apart_ms']} ms apart", row["calls"],
        row["nanos"], row["currency"]) for row in rows(facts, "suspects"))
    return total(facts, "looked", "calls"), items


CONTROL = Control(
    name="suspected_duplicates",
    asks="no call looks like another one that is charged",
    formula="calls of one account with the same numbers, whose answers lie within 2 s and whose lengths within 1 s, but not both the same",
    tolerance="exact duplicates are those of duplicate_calls",
    schedule="daily",
    money="the sales of the later ones; a suspicion, kept apart from what is sure",
    remedy="look at the two calls: a re-dial may be honest",
    needs=("suspects", "looked"),
    find=find,
)
