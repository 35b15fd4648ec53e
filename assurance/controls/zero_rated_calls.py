"""Which answered calls are sold for nothing?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`zero_rated`: see `assurance.controls.by_call`."""
    items = (Item(f"account {row['account']}: {row['calls']} calls to {row['destination'] or '(no destination)'} are sold at 0",
        row["calls"], row["nanos"], row["currency"]) for row in rows(facts, "zero_rated"))
    return total(facts, "looked", "calls"), items


CONTROL = Control(
    name="zero_rated_calls",
    asks="no answered call is sold at 0",
    formula="sales of 0 of answered calls, by account and destination",
    tolerance="none",
    schedule="daily",
    money="what was paid for them to the carriers",
    remedy="look whether the destination is free by the agreement",
    needs=("zero_rated", "looked"),
    find=find,
)
