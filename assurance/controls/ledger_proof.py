"""Does the ledger say what the charges say?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`ledger`: `charges`, the charges that are posted; `ledger_faults`: `what`, a fault in words; `nanos`, `currency`."""
    items = (Item(row["what"], 1, row["nanos"], row["currency"]) for row in rows(facts, "ledger_faults"))
    return total(facts, "ledger", "charges"), items


CONTROL = Control(
    name="ledger_proof",
    asks="the ledger's entries are the charges that count",
    formula="per party, agreement and currency: sum of charges = sum of entries = change of balances",
    tolerance="none",
    schedule="daily",
    money="entries less charges",
    remedy="`ringfence books prove` names the party and the batch",
    needs=("ledger", "ledger_faults"),
    find=find,
)
