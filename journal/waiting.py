"""The records of a partition that have not been taken yet. Ticks are not records and are not counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from core.record import TICK_KEY
from journal.protocol import Journal

MOST = 100_000
"""Messages that are read to find the first record among ticks: days of ticks."""
COUNTED = 256
"""From the first record on, so many messages are checked for ticks; every message beyond them counts as a record."""


class Waiting(NamedTuple):
    """`offset`: of the first record that waits, or where the next look begins. `oldest_ms`: when that record was received."""

    offset: int
    records: int
    oldest_ms: int | None


def waiting(journal: Journal, topic: str, partition: int, taken_to: int, counted: int = COUNTED) -> Waiting:
    """The records at offset `taken_to` and beyond. Pass the answer's `offset` next time: then skipped ticks are not read again."""
    end = journal.end_offset(topic, partition)
    at = max(taken_to, journal.first_offset(topic, partition))
    if end <= at:
        return Waiting(at, 0, None)
    first, records, read = None, 0, 0
    reader = journal.reader(topic, partition, at)
    try:
        while reader.offset < min(end, at + MOST) and read < counted:
            messages = reader.read(COUNTED)
            if not messages:
                break
            found = [message for message in messages if message.key != TICK_KEY]
            first = first or next(iter(found), None)
            records += len(found)
            read += len(messages) if first else 0
        if first is None:
            return Waiting(reader.offset, 0, None)
        return Waiting(first.offset, records + max(0, end - reader.offset), first.learned_ms)
    finally:
        reader.close()


def records_behind(journal: Journal, topic: str, stored_to: Mapping[int, int]) -> int:
    """Records of a topic above what is stored; up to `MOST` messages of each partition are checked for ticks.

    `stored_to`: partition -> its highest stored offset; a partition that is not in it has none.
    """
    partitions = range(journal.partitions(topic))
    return sum(waiting(journal, topic, partition, stored_to.get(partition, -1) + 1, MOST).records for partition in partitions)
