"""What a journal is, whichever way it is spelled: topics of numbered partitions, each a log that only grows.

The addressing is Kafka's: (topic, partition, offset). `tests/journal/test_contract.py` holds every spelling to this page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from core.message import Message


class Entry(NamedTuple):
    """What is appended. `timestamp_ms` is when we learned of it, in ms of UTC, from 1 on (Kafka has no other)."""

    key: bytes
    value: bytes
    timestamp_ms: int


class Gap(NamedTuple):
    """Offsets from `first` to `last` whose entries are lost, with what is known of why. A person has let them go
    (`ringfence journal repair`)."""

    first: int
    last: int
    why: str


class JournalError(Exception):
    """Something is wrong with the journal; the words say what and where."""


class NoTopic(JournalError):
    """There is no topic of this name."""


class Locked(JournalError):
    """The partition has a writer already."""


class Full(JournalError):
    """No room: nothing of this append was kept, and the next may be tried on the same writer."""


class TooLarge(JournalError):
    """An entry, or all the entries of one append together, are over the limit. Nothing of the append was kept."""


class OffsetTrimmed(JournalError):
    """The reader's offset is older than what retention has kept. Never a silent jump: whoever reads must decide."""


class OffsetAhead(JournalError):
    """The reader's offset is beyond the end: this is not the journal that it was reading before."""


class Torn(JournalError):
    """Bytes that were acknowledged cannot be read back. Never repaired in silence."""


class Unacknowledged(JournalError):
    """Nobody knows what became of an append: it may be there, or its first entries, or nothing; it may even come to be there later,
    behind what is appended next. Append it again: every reader of ours knows a repeat (docs/decisions/kafka-keeps-the-guarantees-of-the-file-journal.md)."""


def trimmed(name: str, first: int, at: int) -> OffsetTrimmed:
    return OffsetTrimmed(f"{name} begins at {first}, the reader is at {at}: retention removed what was between")


REPAIR = "`ringfence journal check` shows what is damaged, `ringfence journal repair` writes the loss down and goes on"


def ahead(name: str, end: int, at: int) -> OffsetAhead:
    return OffsetAhead(f"{name} ends at {end}, the reader is at {at}: it read another journal before")


class Writer(Protocol):
    """The one writer of a partition."""

    def append(self, entries: Sequence[Entry]) -> int:
        """The offset of the first entry. Returns only when all are safe: synced to the disk, or on as many brokers as must have them.
        All or nothing; `Unacknowledged` alone leaves that open. After a fault other than `Full` or `TooLarge`, open a new writer."""
        ...

    def close(self) -> None:
        """Gives the partition free for another writer."""
        ...


class Reader(Protocol):
    """A place in a partition. Readers take no lock and may be many."""

    offset: int
    """Of the next message."""

    gaps: list[Gap]
    """What this reader has stepped over so far. Whoever reads looks at it and writes it down: nothing is passed over in silence."""

    def read(self, max_messages: int = 4096, max_bytes: int = 8 << 20) -> list[Message]:
        """What comes next, in order; never waits for what is not there. `[]` means nothing new yet: at least all that was there when
        the reader was opened has been given by then. At least one message is given, however large."""
        ...

    def close(self) -> None: ...


class Journal(Protocol):
    """Topics and their partitions."""

    def create(self, topic: str, partitions: int) -> None:
        """Makes a topic. Again with the same number does nothing; with another number it is refused: keys would move."""
        ...

    def grow(self, topic: str, partitions: int) -> None:
        """Gives a topic that exists more partitions, whole or not at all; again does nothing. Only for who moves keys and state, too."""
        ...

    def partitions(self, topic: str) -> int: ...

    def writer(self, topic: str, partition: int) -> Writer:
        """The one writer; a second one is `Locked`: at once, or when both have written."""
        ...

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        """A reader whose first message is the one at `offset`, which may be the end."""
        ...

    def first_offset(self, topic: str, partition: int) -> int:
        """The oldest offset that retention has kept."""
        ...

    def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next entry will get; everything below is synced."""
        ...

    def mark_read(self, topic: str, partition: int, reader: str, offset: int) -> None:
        """Says that this reader, by its own durable state, needs nothing below `offset`. Files: retention keeps the rest for it.
        Kafka: nothing; there the broker removes what is old."""
        ...

    def readers(self, topic: str, partition: int) -> dict[str, int]:
        """Reader -> the offset below which it needs nothing. Kafka: none is known."""
        ...
