"""Which calls were corrected after they were rated again?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`corrected`: see `warehouse.control_queries`."""
    items = (Item(f"{row['calls']} calls were corrected after rating run {row['run']}: its prices no longer count for them", row["calls"],
        row["nanos"], row["currency"]) for row in rows(facts, "corrected"))
    return total(facts, "looked", "calls"), items


CONTROL = Control(
    name="corrected_after_rating_run",
    asks="no call was corrected after a rating run priced it",
    formula="calls whose counted revision is higher than the one that their last rating run priced",
    tolerance="none",
    schedule="daily",
    money="their sales",
    remedy="rate them again",
    needs=("corrected", "looked"),
    find=find,
)
