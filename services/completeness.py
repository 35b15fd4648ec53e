"""Whether every offset of `calls` is in the warehouse, or is a tick, or is known to be lost (`assurance.completeness` has the rule)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from assurance.completeness import Coverage, Stored, Stretch, merged, missing_rows, overlaps
from core.message import Message
from core.record import TICK_KEY
from core.topics import CALLS
from flows.missed import Missed, every
from journal import Journal, open_journal
from services import reading as read
from services.installation import Installation
from services.status import COUNTS, SETTLED_MS
from warehouse import Warehouse, ask, queries

READ_THROUGH = 10_000
"""Offsets between two stretches that are read and passed over; over more of them a new reader is opened, which costs as much."""
SHOWN = 20


class Report(NamedTuple):
    """The figures of the command. `counts`: received and its dispositions. The last three are rows of `warehouse.queries`, at most `SHOWN`
    each."""

    counts: dict[str, int]
    partitions: list[Coverage]
    sequence_gaps: list[dict[str, Any]]
    twins: list[dict[str, Any]]
    reasons: list[dict[str, Any]]

    @property
    def complete(self) -> bool:
        missing = any(part.lost or part.unexplained or part.gaps for part in self.partitions)
        return not missing and not self.sequence_gaps and not self.twins


def report(installation: Installation, now_ms: int) -> Report:
    """The control of an installation, up to what is stored. It reads the journal through, at about 300,000 records per second."""
    journal = open_journal(installation.journal_dsn)
    with read.warehouse(installation) as client:
        partitions = coverage(journal, client, missed=every(installation.state_dir))
        totals = ask(client, queries.totals())[0]
        gaps = ask(client, queries.gaps(now_ms - SETTLED_MS, SHOWN))
        counts = {name: int(totals[name]) for name in COUNTS}
        return Report(counts, partitions, gaps, ask(client, queries.twins(SHOWN)), ask(client, queries.reasons(limit=SHOWN)))


def coverage(
    journal: Journal, warehouse: Warehouse, upto: Mapping[int, int] | None = None, missed: Sequence[Missed] = ()
) -> list[Coverage]:
    """Each partition of `calls`.

    `upto`: the end offset of each partition; without it, the last one that was stored. Pass the ends of the journal when
    judge and store have come to rest: then what never arrived at the end is found too. `missed`: what the flows noted that
    they could not read (`flows.missed.every`). What retention trimmed from the journal after it was read is not checked.
    """
    rows = {row["partition"]: row for row in ask(warehouse, queries.completeness())}
    found = []
    for partition in range(journal.partitions(CALLS)):
        row, absent = rows.get(partition), ask(warehouse, queries.absent_offsets(partition))
        stored = Stored()
        if row is not None:
            stretches = tuple((one["first_absent"], one["last_absent"]) for one in absent)
            stored = Stored(row["first_offset"], row["last_offset"], row["received"], row["unexplained"], stretches)
        held = journal.first_offset(CALLS, partition)
        end = stored.last_offset + 1 if upto is None else upto[partition]
        known = [(one.first, one.last) for one in missed if (one.topic, one.partition) == (CALLS, partition)]
        unstored = list(missing_rows(stored, held, end))
        gaps = [gap for first, last in unstored for gap in overlaps(known, first, last)]
        ticks, lost = 0, list[int]()
        for message in _messages(journal, partition, [(max(first, held), last) for first, last in unstored if last >= held], gaps):
            if message.key == TICK_KEY:
                ticks += 1
            else:
                lost.append(message.offset)
        first_offset = min(held, stored.first_offset) if stored.received else held
        found.append(Coverage(partition, first_offset, end, stored.received, ticks, lost, stored.unexplained, merged(gaps)))
    return found


def _messages(journal: Journal, partition: int, stretches: Sequence[Stretch], gaps: list[Stretch]) -> Iterator[Message]:
    """The messages of the stretches, which ascend; to `gaps` is added what of them is lost in the journal itself."""
    for group in _groups(stretches):
        reader = journal.reader(CALLS, partition, group[0][0])
        wanted = iter(group)
        first, last = next(wanted)
        try:
            while reader.offset <= group[-1][1] and (messages := reader.read(group[-1][1] - reader.offset + 1)):
                for message in messages:
                    while message.offset > last and last < group[-1][1]:
                        first, last = next(wanted)
                    if first <= message.offset <= last:  # behind a gap a reader comes further than it was asked to
                        yield message
        finally:
            reader.close()
        gaps += [part for low, high in group for part in overlaps([(gap.first, gap.last) for gap in reader.gaps], low, high)]


def _groups(stretches: Iterable[Stretch]) -> list[list[Stretch]]:
    """Stretches that one reader reads through.

    >>> _groups([(1, 1), (500, 501), (90_000, 90_000)])
    [[(1, 1), (500, 501)], [(90000, 90000)]]
    """
    found: list[list[Stretch]] = []
    for first, last in stretches:
        if found and first - found[-1][-1][1] <= READ_THROUGH:
            found[-1].append((first, last))
        else:
            found.append([(first, last)])
    return found
