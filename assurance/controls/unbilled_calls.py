"""Is every answered call sold?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`unsold`: see `assurance.controls.by_call`."""
    items = (
        Item(
            f"account {row['account'] or '(none)'}, trunk {row['ingress_trunk'] or '(none)'}: {row['calls']} answered calls were sold to "
            f"nobody",
            row["calls"], row["nanos"], row["currency"],
        )
        for row in rows(facts, "unsold")
    )  # fmt: skip
    return total(facts, "looked", "calls"), items


CONTROL = Control(
    name="unbilled_calls",
    asks="every answered call has a sale",
    formula="answered calls without a sale that counts, by account",
    tolerance="none",
    schedule="daily",
    money="what was paid for them to the carriers, at least",
    remedy="look at the config version of the calls, then re-rate them",
    needs=("unsold", "looked"),
    find=find,
)
