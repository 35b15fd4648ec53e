"""How records travel: one log, in files or on Apache Kafka."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.partition import partition_for
from core.topics import CALLS_PARTITIONS, partitions_of
from journal.files import FileJournal
from journal.limits import Limits
from journal.protocol import (
    Entry,
    Full,
    Gap,
    Journal,
    JournalError,
    Locked,
    NoTopic,
    OffsetAhead,
    OffsetTrimmed,
    Reader,
    TooLarge,
    Torn,
    Unacknowledged,
    Writer,
)

__all__ = [
    "Entry",
    "Full",
    "Gap",
    "Journal",
    "JournalError",
    "Limits",
    "Locked",
    "NoTopic",
    "OffsetAhead",
    "OffsetTrimmed",
    "Reader",
    "TooLarge",
    "Torn",
    "Unacknowledged",
    "Writer",
    "create_topics",
    "open_journal",
    "partition_for",
]


def open_journal(dsn: str, limits: Limits = Limits()) -> Journal:
    """The journal at an address: `files:///absolute/directory`, or `kafka://` and `kafka+ssl://` (journal/kafka/address.py).

    Nothing is opened yet. The directory is made with the first topic.

    >>> open_journal("files://host/dir")
    Traceback (most recent call last):
    ...
    journal.protocol.JournalError: files://host/dir is not a journal's address: expected files:///absolute/directory, kafka:// or kafka+ssl://
    """
    scheme, _, rest = dsn.partition(":")
    if scheme in ("kafka", "kafka+ssl"):
        from journal.kafka import KafkaJournal, parse  # the client library is loaded where it is used

        return KafkaJournal(parse(dsn), limits)
    parts = urlsplit(dsn)
    plain = dsn.startswith("files:///") and len(parts.path) > 1 and not (parts.netloc or parts.query or parts.fragment)
    if plain:
        return FileJournal(Path(unquote(parts.path)), limits)
    shown = (
        f"{scheme}:{'//' if rest.startswith('//') else ''}{rest.rpartition('@')[2].removeprefix('//')}"  # without a password
    )
    raise JournalError(f"{shown} is not a journal's address: expected files:///absolute/directory, kafka:// or kafka+ssl://")


def create_topics(journal: Journal, calls: int = CALLS_PARTITIONS) -> None:
    """Makes every topic of `core.topics`, or checks its number of partitions. `calls`: the partitions of `calls`."""
    for topic, partitions in partitions_of(calls).items():
        journal.create(topic, partitions)
