"""How records travel: one log, spelled here as files and later as Kafka."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.topics import PARTITIONS
from journal.files import FileJournal, Limits
from journal.partitioning import partition_for
from journal.protocol import (
    Entry,
    Full,
    Journal,
    JournalError,
    Locked,
    Message,
    OffsetAhead,
    OffsetTrimmed,
    Reader,
    TooLarge,
    Torn,
    Writer,
)

__all__ = [
    "Entry",
    "Full",
    "Journal",
    "JournalError",
    "Limits",
    "Locked",
    "Message",
    "OffsetAhead",
    "OffsetTrimmed",
    "Reader",
    "TooLarge",
    "Torn",
    "Writer",
    "create_topics",
    "open_journal",
    "partition_for",
]


def open_journal(dsn: str, limits: Limits = Limits()) -> Journal:
    """The journal at an address: `files:///absolute/directory`. The directory is made when the first topic is.

    >>> open_journal("files://host/dir")
    Traceback (most recent call last):
    ...
    journal.protocol.JournalError: 'files://host/dir' is not a journal's address: expected files:///absolute/directory
    """
    parts = urlsplit(dsn)
    plain = dsn.startswith("files:///") and len(parts.path) > 1 and not (parts.netloc or parts.query or parts.fragment)
    if plain:
        return FileJournal(Path(unquote(parts.path)), limits)
    raise JournalError(f"{dsn!r} is not a journal's address: expected files:///absolute/directory")


def create_topics(journal: Journal) -> None:
    """Makes every topic of `core.topics`, or checks that it has the right number of partitions."""
    for topic, partitions in PARTITIONS.items():
        journal.create(topic, partitions)
