"""Whether every offset of `calls` is in the warehouse, or is a tick, or is known to be lost (`assurance.completeness` has the rule)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assurance.completeness import Coverage, Stored, Stretch, merged, missing_rows, overlaps
from core.record import TICK_KEY
from core.topics import CALLS
from flows.missed import Missed
from journal import Journal
from warehouse import Warehouse, ask, queries

MOST_STRETCHES = 2**31


def coverage(
    journal: Journal, warehouse: Warehouse, upto: Mapping[int, int] | None = None, missed: Sequence[Missed] = ()
) -> list[Coverage]:
    """Each partition of `calls`.

    `upto`: up to which offset of each partition; without it, the last one that was stored. Pass the ends of the journal when
    judge and store have come to rest, and what never arrived at the end is named too. `missed`: what the flows have written down that
    they could not read (`flows.missed.every`). What retention trimmed from the journal after it was read is not looked at.
    """
    rows = {row["partition"]: row for row in ask(warehouse, queries.completeness())}
    found = []
    for partition in range(journal.partitions(CALLS)):
        row, absent = rows.get(partition), ask(warehouse, queries.absent_offsets(partition, limit=MOST_STRETCHES))
        stored = Stored()
        if row is not None:
            stretches = tuple((one["first_absent"], one["last_absent"]) for one in absent)
            stored = Stored(row["first_offset"], row["last_offset"], row["received"], row["unexplained"], stretches)
        held = journal.first_offset(CALLS, partition)
        end = stored.last_offset + 1 if upto is None else upto[partition]
        known = [(one.first, one.last) for one in missed if (one.topic, one.partition) == (CALLS, partition)]
        ticks, lost, gaps = 0, list[int](), list[Stretch]()
        for first, last in missing_rows(stored, held, end):
            gaps += overlaps(known, first, last)
            if last >= held:
                t, records, stepped_over = _read(journal, partition, max(first, held), last)
                ticks += t
                lost += records
                gaps += stepped_over
        first_offset = min(held, stored.first_offset) if stored.received else held
        found.append(Coverage(partition, first_offset, end, stored.received, ticks, lost, stored.unexplained, merged(gaps)))
    return found


def _read(journal: Journal, partition: int, first: int, last: int) -> tuple[int, list[int], list[Stretch]]:
    """Ticks between two offsets, the offsets of what is none, and stretches that are lost in the journal itself."""
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
