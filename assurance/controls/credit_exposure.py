"""Who owes more than the agreement allows?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`exposure`: `party`, `agreement`, `nanos` owed, `limit_nanos`, `currency`: a row per agreement with a credit limit."""
    over = [row for row in rows(facts, "exposure") if row["nanos"] > row["limit_nanos"]]
    items = (
        Item(f"{row['party']}, agreement {row['agreement']}: owes more than the credit limit", 1, row["nanos"] - row["limit_nanos"], row["currency"])
        for row in over
    )
    return facts.frames["exposure"].height, items


CONTROL = Control(
    name="credit_exposure",
    asks="nobody owes more than the credit limit of the agreement",
    formula="balance of the party's accounts, posted, against the limit",
    tolerance="none",
    schedule="hourly",
    money="what is owed beyond the limit",
    remedy="ask for payment, or block the account",
    needs=("exposure",),
    find=find,
)
