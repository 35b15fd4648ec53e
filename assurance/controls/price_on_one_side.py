"""Which calls are sold and not bought, or bought and not sold?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`one_sided`: see `assurance.controls.by_call`."""
    items = (Item(f"carrier {row['carrier']}: {row['calls']} calls to {row['destination'] or '(no destination)'} have no purchase price",
        row["calls"], row["nanos"], row["currency"]) for row in rows(facts, "one_sided"))
    return total(facts, "looked", "calls"), items


CONTROL = Control(
    name="price_on_one_side",
    asks="a call over a carrier is both sold and bought",
    formula="answered calls over a carrier whose sale has an amount and whose purchase has none, by carrier",
    tolerance="none",
    schedule="daily",
    money="the sales without a cost beside them",
    remedy="add the carrier's price list, then re-rate",
    needs=("one_sided", "looked"),
    find=find,
)
