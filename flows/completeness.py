"""The control of the whole path: every offset of `calls` is a row in the warehouse or a tick in the journal, or it is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from core.record import TICK_KEY
from core.topics import CALLS
from flows.missed import Missed, within
from journal import Journal
from warehouse import Warehouse, ask, queries


class Coverage(NamedTuple):
    """A partition of `calls`, from the first offset that the journal keeps (or the first stored) up to `upto`. `gaps`: stretches below
    `upto` that have no row because no reader could read them any more; what they held is not known."""

    partition: int
    first_offset: int
    upto: int  # everything below was looked at
    received: int
    ticks: int
    lost: list[int]  # offsets that hold a record and have no row
    unexplained: int  # rows whose disposition is none of the six: 0, always
    gaps: list[tuple[int, int]] = []  # noqa: RUF012 - never changed


def coverage(
    journal: Journal, warehouse: Warehouse, upto: dict[int, int] | None = None, missed: Sequence[Missed] = ()
) -> list[Coverage]:
    """offsets = received + ticks + lost, partition by partition. `lost` is empty, or something is wrong.

    `upto`: up to which offset of each partition; without it, the last one that was stored. Give the ends of the journal when
    judge and store have come to rest, and what never arrived at the end is named too. `missed`: what the flows have written down that
    they could not read (`flows.missed.every`). What retention trimmed from the journal after it was read is not looked at.
    """
    found = []
    stored = {row["partition"]: row for row in ask(warehouse, queries.completeness())}
    for partition in range(journal.partitions(CALLS)):
        row = stored.get(partition, {"first_offset": 0, "last_offset": -1, "received": 0, "unexplained": 0})
        kept = journal.first_offset(CALLS, partition)
        end = row["last_offset"] + 1 if upto is None else upto[partition]
        absent = [(r["first_absent"], r["last_absent"]) for r in ask(warehouse, queries.absent_offsets(partition, limit=2**31))]
        absent = [(kept, row["first_offset"] - 1), *absent, (row["last_offset"] + 1, end - 1)]
        ticks, lost, gaps = 0, [], []
        for first, last in absent:
            gaps += within(missed, CALLS, partition, first, last)
            if last >= max(first, kept):
                t, gone, stepped_over = _look(journal, partition, max(first, kept), last)
                ticks += t
                lost += gone
                gaps += stepped_over
        first_offset = min(kept, row["first_offset"]) if row["received"] else kept
        found.append(Coverage(partition, first_offset, end, row["received"], ticks, lost, row["unexplained"], _joined(gaps)))
    return found


def _joined(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches of offsets, each offset in one of them.

    >>> _joined([(5, 9), (1, 2), (3, 3), (7, 12)])
    [(1, 3), (5, 12)]
    """
    found: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _look(journal: Journal, partition: int, first: int, last: int) -> tuple[int, list[int], list[tuple[int, int]]]:
    """Ticks between two offsets, and what is none; and stretches that are lost in the journal itself."""
    reader = journal.reader(CALLS, partition, first)
    ticks, others = 0, []
    try:
        while reader.offset <= last:
            messages = reader.read(last - reader.offset + 1)
            if not messages:
                break
            for message in messages:
                if message.offset > last:
                    break  # behind a gap a reader comes further than it was asked to
                if message.key == TICK_KEY:
                    ticks += 1
                else:
                    others.append(message.offset)
    finally:
        reader.close()
    return ticks, others, [(gap.first, min(gap.last, last)) for gap in reader.gaps if gap.first <= last]
