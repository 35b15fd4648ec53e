"""Does any dispute wait for longer than the agreement allows?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`open_disputes`: `id`, `party`, `state`, `due_ms`, `nanos`, `currency`, of disputes that are not closed; `dispute_count`: `disputes`,
    of all."""
    late = [row for row in rows(facts, "open_disputes") if row["due_ms"] and row["due_ms"] < facts.now_ms]
    items = (Item(f"{row['id']} ({row['state']}) with {row['party']} is overdue", 1, row["nanos"], row["currency"]) for row in late)
    return int(facts.frames["dispute_count"]["disputes"].sum()), items


CONTROL = Control(
    name="disputes_in_time",
    asks="no dispute is overdue",
    formula="open disputes whose next step was due before now",
    tolerance="none",
    schedule="daily",
    money="what is disputed",
    remedy="`ringfence disputes list --overdue`: send, remind or escalate",
    needs=("open_disputes", "dispute_count"),
    find=find,
)
