"""What a partition may hold, and for how long: the same limits for files and for Kafka."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.topics import CALLS
from journal.protocol import JournalError

MOST_PARTITIONS = 1024
_TOPIC = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class Limits:
    """Retention checks whole segments: when a partition is opened for writing, when a new segment is begun (the last is full, or
    older than `roll_ms`), and when a person asks. It removes the oldest segment while the partition is over `retention_bytes`, or if
    it ended longer than `retention_ms` ago; never one that a reader of ours still has to read (`journal.marks`).

    Where unread entries keep a partition over `retention_bytes` by more than a segment, the writers of the topics in `refuse_when_full`
    get `Full`, and other topics keep growing; with `drop_unread` the oldest unread segments are removed instead, and their readers report
    the gap.
    See docs/decisions/retention-waits-for-readers.md.

    Files: age is counted by the monotonic clock while a writer lives, not by the times of entries or by the wall clock (`journal.retention`). Kafka:
    topics are made with these settings, and age is the newest `timestamp_ms` in a segment
    (docs/decisions/kafka-gives-same-guarantees.md).
    """

    record_bytes: int = 1 << 20
    segment_bytes: int = 64 << 20
    roll_ms: int = 24 * 3_600_000
    retention_bytes: int | None = None
    retention_ms: int | None = 7 * 24 * 3_600_000
    drop_unread: bool = False
    refuse_when_full: frozenset[str] = frozenset({CALLS})


def check_topic(topic: str, partitions: int) -> None:
    """Checks that a name and a number of partitions suit files and Kafka alike.

    >>> check_topic("calls", 4)
    >>> check_topic("../calls", 4)
    Traceback (most recent call last):
    ...
    journal.protocol.JournalError: '../calls' is not a topic's name (letters, digits, . _ -, at most 200)
    """
    if not _TOPIC.fullmatch(topic):
        raise JournalError(f"{topic!r} is not a topic's name (letters, digits, . _ -, at most 200)")
    if not 1 <= partitions <= MOST_PARTITIONS:
        raise JournalError(f"{topic}: {partitions} partitions is not between 1 and {MOST_PARTITIONS}")


def check_same(topic: str, there: int, asked: int) -> None:
    """Checks that an existing topic has the number of partitions that was asked for.

    >>> check_same("calls", 2, 4)
    Traceback (most recent call last):
    ...
    journal.protocol.JournalError: calls has 2 partitions, 4 were asked for: another number would part keys from their state.
    `ringfence repartition` moves both
    """
    if there != asked:
        raise JournalError(
            f"{topic} has {there} partitions, {asked} were asked for: another number would part keys from their state. "
            "`ringfence repartition` moves both"
        )


def check_grows(topic: str, there: int, asked: int) -> None:
    """Checks that a topic does not lose partitions, and the records in them.

    >>> check_grows("calls", 4, 2)
    Traceback (most recent call last):
    ...
    journal.protocol.JournalError: calls has 4 partitions: it can get more, not 2
    """
    check_topic(topic, asked)
    if asked < there:
        raise JournalError(f"{topic} has {there} partitions: it can get more, not {asked}")
