"""Which calls came so late that their period may have been closed?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`late`: see `assurance.controls.by_call`."""
    items = (Item(f"switch {row['switch']}: {row['calls']} calls of {row['day']} came up to {row['hours']} h late", row["calls"],
        row["nanos"], row["currency"]) for row in rows(facts, "late"))
    return total(facts, "looked", "calls"), items


CONTROL = Control(
    name="late_records",
    asks="records arrive within an hour of their call's end",
    formula="calls that we learned of more than an hour after their end, by switch and day",
    tolerance="60 minutes",
    schedule="daily",
    money="their sales",
    remedy="look at the switch's spool and its clock; invoices take late calls as such",
    needs=("late", "looked"),
    find=find,
)
