"""A topic of the journal as the input of a dataflow: a partition is a partition, and the offset is its state."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from core.message import Message
from flows.missed import mark, open_reader
from journal import Journal, JournalError, Reader

MARK_S = 10.0
"""Between two reports to retention: each is a file that is synced."""


class Chunk(NamedTuple):
    """Messages of one partition, in order, none skipped."""

    partition: int
    messages: list[Message]


class JournalSource(FixedPartitionedSource[Chunk, int]):
    """Reads `partitions` of a topic from the offsets in the recovery store, and from the oldest kept where there is none, or where that
    is behind it: what cannot be read any more is written down in the file `missed` (`flows.missed`). `reader`: its name there.

    `ends`: stop when every partition has come to its offset there; without it the input never ends.
    """

    def __init__(
        self,
        journal: Journal,
        topic: str,
        partitions: Sequence[int],
        *,
        poll_ms: int = 20,
        max_messages: int = 256,
        max_bytes: int = 8 << 20,
        ends: dict[int, int] | None = None,
        reader: str,
        missed: Path,
    ) -> None:
        self._journal, self._topic, self._partitions = journal, topic, partitions
        self._reader, self._missed = reader, missed
        self._poll = timedelta(milliseconds=poll_ms)
        self._max_messages, self._max_bytes, self._ends = max_messages, max_bytes, ends

    def list_parts(self) -> list[str]:
        return [part_name(self._topic, partition) for partition in self._partitions]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> JournalPartition:
        partition = int(for_part.rpartition("/")[2])
        try:
            reader = open_reader(self._journal, self._reader, self._topic, partition, resume_state, self._missed)
        except JournalError as error:
            error.add_note(
                f"{self._topic}/{partition} was to be read on from offset {resume_state}, where this flow's state ends"
            )
            raise
        end = None if self._ends is None else self._ends.get(partition, reader.offset)
        marks = partial(mark, self._journal, self._reader, self._topic, partition)
        return JournalPartition(reader, partition, self._poll, self._max_messages, self._max_bytes, end, marks)


class JournalPartition(StatefulSourcePartition[Chunk, int]):
    """One partition."""

    def __init__(
        self,
        reader: Reader,
        partition: int,
        poll: timedelta,
        max_messages: int,
        max_bytes: int,
        end: int | None,
        mark_read: Callable[[int], None],
    ) -> None:
        self._reader, self._partition, self._poll, self._end = reader, partition, poll, end
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._awake: datetime | None = None
        self._mark_read = mark_read
        self._snapshot_before, self._marked, self._marked_at_s = -1, -1, time.monotonic()

    def next_batch(self) -> list[Chunk]:
        left = self._max_messages
        if self._end is not None:
            left = min(left, self._end - self._reader.offset)
            if left <= 0:
                raise StopIteration
        messages = self._reader.read(left, self._max_bytes)
        self._awake = None if messages else datetime.now(UTC) + self._poll
        return [Chunk(self._partition, messages)] if messages else []

    def next_awake(self) -> datetime | None:
        return self._awake

    def snapshot(self) -> int:
        """The engine takes the next message only when the one before is stored with its effects: retention learns of that one. What was read
        from this one on is not stored yet."""
        stored, self._snapshot_before = self._snapshot_before, self._reader.offset
        if stored > self._marked and time.monotonic() - self._marked_at_s >= MARK_S:
            self._mark_read(stored)
            self._marked, self._marked_at_s = stored, time.monotonic()
        return self._reader.offset

    def close(self) -> None:
        self._reader.close()


def part_name(topic: str, partition: int) -> str:
    """A stored name: the recovery store keeps the offset under it.

    >>> part_name("judged", 3)
    'judged/3'
    """
    return f"{topic}/{partition}"
