"""Which calls cost more than they are sold for, and why?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`losses`: see `assurance.controls.by_call`."""
    items = (
        Item(
            f"account {row['account']} over {row['carrier']} to {row['destination'] or '(no destination)'}: {row['calls']} calls at a "
            f"loss, because of the {row['cause']}",
            row["calls"], row["nanos"], row["currency"],
        )
        for row in rows(facts, "losses")
    )  # fmt: skip
    return total(facts, "looked", "calls"), items


CONTROL = Control(
    name="negative_margin",
    asks="no call is sold below what it costs",
    formula=(
        "calls of one currency whose purchase is dearer than their sale, by account, carrier, destination and cause: price per minute, "
        "charged seconds, fees"
    ),
    tolerance="none",
    schedule="daily",
    money="purchase less sale",
    remedy="change the route or the price; a wrong price list is disputed",
    needs=("losses", "looked"),
    find=find,
)
