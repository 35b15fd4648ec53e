"""Was every carrier's bill compared?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`carriers`: `bought_from`, `nanos`, `currency`; `reconciled`: `carrier`, one row per carrier whose bill of the whole period was compared."""
    done = set(facts.frames["reconciled"]["carrier"].to_list())
    items = (
        Item(f"carrier {row['bought_from']}: no bill for this period was compared", 1, row["nanos"], row["currency"])
        for row in rows(facts, "carriers") if row["bought_from"] not in done
    )  # fmt: skip
    return facts.frames["carriers"].height, items


CONTROL = Control(
    name="carriers_reconciled",
    asks="the bill of every carrier was compared with our calls",
    formula="carriers with purchases in the period, less those with a reconciliation of all of it",
    tolerance="none",
    schedule="monthly",
    money="what was bought and never compared",
    remedy="`ringfence reconcile --carrier C`",
    needs=("carriers", "reconciled"),
    find=find,
)
