"""Which calls ended because no end came?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`hung`: see `assurance.controls.by_call`."""
    items = (Item(f"trunk {row['ingress_trunk'] or '(none)'}, carrier {row['carrier'] or '(none)'}: {row['calls']} calls have no end",
        row["calls"], row["nanos"], row["currency"]) for row in rows(facts, "hung"))
    return total(facts, "looked", "calls"), items


CONTROL = Control(
    name="hung_calls",
    asks="each call has an end of its own",
    formula="calls that were closed as suspected hung",
    tolerance="none",
    schedule="daily",
    money="their sales, which may be too much or too little",
    remedy="compare with the carrier's record of the end",
    needs=("hung", "looked"),
    find=find,
)
