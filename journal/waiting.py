"""What lies in a partition and was not taken yet. Ticks are no records: who waits for records does not wait for them."""

from __future__ import annotations

from typing import NamedTuple

from core.record import TICK_KEY
from journal.protocol import Journal

MOST = 256
"""Messages that are looked at to tell ticks from records; beyond them every message counts as a record."""


class Waiting(NamedTuple):
    """`offset`: of the first record that waits, or the end where none does. `oldest_ms`: when we learned of it."""

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
        messages = reader.read(MOST)
    finally:
        reader.close()
    records = [message for message in messages if message.key != TICK_KEY]
    beyond = end - at - len(messages)
    if records:
        return Waiting(records[0].offset, len(records) + beyond, records[0].timestamp_ms)
    return Waiting(at + len(messages), beyond, messages[-1].timestamp_ms if beyond and messages else None)
