"""Which records could not be read?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`rejects`: see `warehouse.control_queries`."""
    items = (Item(f"switch {row['switch'] or '(unknown)'}, {row['disposition']}: {row['reason']} (oldest {row['oldest']})", row["records"],
        row["nanos"], row["currency"]) for row in rows(facts, "rejects"))
    return total(facts, "records", "records"), items


CONTROL = Control(
    name="rejected_records",
    asks="every record could be read",
    formula="rejects and conflicts by switch and reason, with the age of the oldest",
    tolerance="none",
    schedule="daily",
    money="not known: the record could not be read",
    remedy="correct the cause, then `ringfence recycle`",
    needs=("rejects", "records"),
    find=find,
)
