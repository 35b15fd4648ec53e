"""The interface of a journal: topics of numbered partitions, each an append-only log.

The addressing is Kafka's: (topic, partition, offset). `tests/journal/test_contract.py` tests every implementation against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from core.message import Message


class Entry(NamedTuple):
    """An entry to append. `timestamp_ms`: when it was received, in ms of UTC, >= 1 (Kafka takes no other)."""

    key: bytes
    value: bytes
    timestamp_ms: int


class Gap(NamedTuple):
    """Offsets from `first` to `last` whose entries are lost, and the reason as far as it is known. A person gave them up
    (`ringfence journal repair`)."""

    first: int
    last: int
    why: str


class JournalError(Exception):
    """A fault of the journal; the message names the fault and the place."""


class NoTopic(JournalError):
    """There is no topic of this name."""


class Locked(JournalError):
    """The partition has a writer already."""


class Full(JournalError):
    """No room: nothing of this append was stored. The same writer may try again."""


class TooLarge(JournalError):
    """An entry, or all the entries of one append together, are over the limit. Nothing of the append was stored."""


class OffsetTrimmed(JournalError):
    """Retention has removed the reader's offset. The reader never jumps by itself: its caller decides."""


class OffsetAhead(JournalError):
    """The reader's offset is beyond the end: this is not the journal that it read before."""


class Torn(JournalError):
    """Acknowledged bytes cannot be read back. Only `ringfence journal repair` gives them up."""


class Unacknowledged(JournalError):
    """The outcome of an append is unknown: all of it, its first entries or nothing may be stored; it may even appear later, behind the next
    append. Append it again: each of our readers recognises a repeat (docs/decisions/kafka-gives-same-guarantees.md)."""


def trimmed(name: str, first: int, at: int) -> OffsetTrimmed:
    return OffsetTrimmed(f"{name} begins at {first}, the reader is at {at}: retention removed what was between")


REPAIR = "`ringfence journal check` shows what is damaged, `ringfence journal repair` records the loss and goes on"


def ahead(name: str, end: int, at: int) -> OffsetAhead:
    return OffsetAhead(f"{name} ends at {end}, the reader is at {at}: it read another journal before")


class Writer(Protocol):
    """The one writer of a partition."""

    def append(self, entries: Sequence[Entry]) -> int:
        """Returns the offset of the first entry, when all entries are durable: synced to the disk, or on all brokers that must have them.
        All or nothing; only `Unacknowledged` leaves that open. After a fault other than `Full` or `TooLarge`, open a new writer."""
        ...

    def close(self) -> None:
        """Releases the partition for another writer."""
        ...


class Reader(Protocol):
    """A position in a partition. Any number of readers; they take no lock."""

    offset: int
    """Of the next message."""

    gaps: list[Gap]
    """The lost offsets that this reader has skipped so far. Its caller checks and records them: nothing is skipped silently."""

    def read(self, max_messages: int = 4096, max_bytes: int = 8 << 20) -> list[Message]:
        """Returns the next messages, in order; never waits for messages that do not exist yet. `[]` means nothing new yet: all messages
        that existed when the reader was opened have been returned by then. Returns at least one message if there is one, however large."""
        ...

    def close(self) -> None: ...


class Journal(Protocol):
    """Topics and their partitions."""

    def create(self, topic: str, partitions: int) -> None:
        """Makes a topic. If it exists with the same number of partitions, does nothing; another number is refused: keys would move."""
        ...

    def grow(self, topic: str, partitions: int) -> None:
        """Adds partitions to an existing topic, all or none; repeating it does nothing. Only for callers that also move keys and state."""
        ...

    def partitions(self, topic: str) -> int: ...

    def writer(self, topic: str, partition: int) -> Writer:
        """The only writer; a second one is `Locked`: at once, or when both have written."""
        ...

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        """A reader whose first message is the one at `offset`, which may be the end."""
        ...

    def first_offset(self, topic: str, partition: int) -> int:
        """The oldest offset that retention has not removed."""
        ...

    def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next entry will get; everything below is synced."""
        ...

    def mark_read(self, topic: str, partition: int, reader: str, offset: int) -> None:
        """Records that this reader, by its own durable state, needs nothing below `offset`. Files: retention keeps the rest for it.
        Kafka: does nothing; there the broker removes old records."""
        ...

    def readers(self, topic: str, partition: int) -> dict[str, int]:
        """Reader -> the offset below which it needs nothing. Kafka: none is known."""
        ...
