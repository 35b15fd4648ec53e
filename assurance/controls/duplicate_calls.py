"""Is a call charged twice?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`duplicates`: `account`, `b_number`, `at`, `calls` (beyond the first), `nanos`, `currency`."""
    items = (Item(f"account {row['account']}: a call to {row['b_number']} answered at {row['at']} is there {row['calls'] + 1} times",
        row["calls"], row["nanos"], row["currency"]) for row in rows(facts, "duplicates"))
    return total(facts, "looked", "calls"), items


CONTROL = Control(
    name="duplicate_calls",
    asks="no call is charged twice",
    formula="calls of one account with the same numbers, answer and length (to the ms) and other identities",
    tolerance="none",
    schedule="daily",
    money="the sales of all but one of them",
    remedy="compare the two records; a re-rating takes the second charge back",
    needs=("duplicates", "looked"),
    find=find,
)
