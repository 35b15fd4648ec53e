"""Which ends have no account?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`orphan_stops`: see `warehouse.control_queries`."""
    items = (Item(f"switch {row['switch']}: {row['records']} ends of calls without an account (oldest {row['oldest']})", row["records"],
        row["nanos"], row["currency"]) for row in rows(facts, "orphan_stops"))
    return total(facts, "records", "records"), items


CONTROL = Control(
    name="orphans",
    asks="each end of a call has an account that owes for it",
    formula="stops without an account, by switch",
    tolerance="none",
    schedule="daily",
    money="not known: nobody is named who owes for it",
    remedy="`ringfence completeness` and the switch's authentication: who called?",
    needs=("orphan_stops", "records"),
    find=find,
)
