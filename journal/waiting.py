"""What lies in a partition and was not taken yet. Ticks are no records: who waits for records does not wait for them."""

from __future__ import annotations

from typing import NamedTuple

from core.record import TICK_KEY
from journal.protocol import Journal

MOST = 100_000
"""Messages that are looked at to find the first record among ticks: days of them."""
COUNTED = 256
"""From the first record on, so many are told from ticks; beyond them every message counts as a record."""


class Waiting(NamedTuple):
    """`offset`: of the first record that waits, or where the next look begins. `oldest_ms`: when we learned of it."""

    offset: int
    records: int
    oldest_ms: int | None


def waiting(journal: Journal, topic: str, partition: int, taken_to: int) -> Waiting:
    """What waits at `taken_to` and beyond. Keep the answer's `offset`: ticks that were stepped over need not be read again."""
    end = journal.end_offset(topic, partition)
    at = max(taken_to, journal.first_offset(topic, partition))
    if end <= at:
        return Waiting(at, 0, None)
    reader = journal.reader(topic, partition, at)
    try:
        while reader.offset < min(end, at + MOST):
            messages = reader.read(COUNTED)
            if not messages:
                break
            records = [message for message in messages if message.key != TICK_KEY]
            if records:
                return Waiting(records[0].offset, len(records) + max(0, end - messages[-1].offset - 1), records[0].timestamp_ms)
        return Waiting(reader.offset, 0, None)
    finally:
        reader.close()
