"""What did fraud cost before it was blocked?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`alerts`: `account`, `detector`, `alerts`, `nanos` (the money that was at risk when it was found), `currency`; one row per account."""
    items = (
        Item(f"{row['subject']}: {row['alerts']} alerts of {row['detector']}", row["alerts"], row["nanos"],
            row["currency"]) for row in rows(facts, "alerts")
    )
    return total(facts, "records", "records"), items


CONTROL = Control(
    name="fraud_losses",
    asks="no money was lost to fraud",
    formula="the exposure of the alerts of the period, by subject",
    tolerance="none: each alert is money that was at risk",
    schedule="daily",
    money="the exposure when it was found; what is written off is decided by a person",
    remedy="dispute it with the carrier as fraud, write it off, or charge it",
    needs=("alerts", "records"),
    find=find,
)
