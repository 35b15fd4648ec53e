"""Do the views say what the tables say?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total
from core.money import to_text


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`views`: `role`, `currency`, `view_nanos`, `base_nanos`, where they differ; `charges`: `charges`."""
    items = (
        Item(f"{row['role']}: the view says {to_text(row['view_nanos'])} {row['currency']}, the table {to_text(row['base_nanos'])}", 1,
            row["view_nanos"] - row["base_nanos"], row["currency"])
        for row in rows(facts, "views")
    )
    return total(facts, "charges", "charges"), items


CONTROL = Control(
    name="views_against_base",
    asks="the money of the views is that of the base table",
    formula="sum of the counted charges, by the view and by the base table, per role and currency",
    tolerance="none",
    schedule="daily",
    money="the difference",
    remedy="`ringfence migrate` makes the views again; tell us if it stays",
    needs=("views", "charges"),
    find=find,
)
