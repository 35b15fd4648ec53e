"""Do the invoices say what the charges say?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`invoices`: `invoices`, how many there are; `invoice_faults`: `what`, a fault in words."""
    return total(facts, "invoices", "invoices"), (Item(row["what"]) for row in rows(facts, "invoice_faults"))


CONTROL = Control(
    name="invoices_prove",
    asks="each invoice opens down to its calls, no call is on two, and numbers have no gap",
    formula="per invoice: sum of its charges = sum of its lines; each follows the one before; every number once",
    tolerance="none",
    schedule="monthly",
    money="not known: a fault concerns the whole invoice",
    remedy="`ringfence invoices` shows the invoice; a wrong one is credited",
    needs=("invoice_faults", "invoices"),
    find=find,
)
