"""The writer of a partition of Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from journal.kafka.cluster import Cluster, Sender
from journal.kafka.faults import AWAY, MOVING, explained, why
from journal.protocol import Entry, JournalError, Locked, TooLarge, Unacknowledged

SLICE_S = 0.1
GRACE_S = 5.0
"""librdkafka reports on each message within its timeout; so much later the writer gives up."""


class _Delivery:
    """The delivery reports of one append. They may come from another thread: this only appends."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.offsets: list[int] = []
        self.errors: list[KafkaError] = []
        self.complete = threading.Event()

    def report(self, error: KafkaError | None, message: Any) -> None:
        if error is None:
            self.offsets.append(message.offset())
        else:
            self.errors.append(error)
        self._left -= 1  # all reports come from one thread
        if not self._left:
            self.complete.set()


class KafkaWriter:
    """See `journal.protocol.Writer`. For one thread.

    Kafka takes no lock: the offsets of acknowledged entries show whether another process writes too. `closed` is called at the end.
    """

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        partition: int,
        record_bytes: int,
        diagnosis: Callable[[], str],
        closed: Callable[[], None],
    ) -> None:
        self._cluster, self._partition = cluster, partition
        self._topic = cluster.address.prefix + topic
        self._name = f"{topic}/{partition}"
        self._record_bytes, self._diagnosis, self._closed = record_bytes, diagnosis, closed
        self._broken = ""
        self._fresh = True
        _, self._end = cluster.offsets(self._topic, partition)  # fails within seconds if no broker answers
        self._sender: Sender = cluster.sender()
        self._sender.refresh(self._topic)

    @property
    def end(self) -> int:
        """The offset of the next entry."""
        return self._end

    def append(self, entries: Sequence[Entry]) -> int:
        """Returns when every replica that must be in sync has every entry. After any fault, open a new writer."""
        if self._broken:
            raise JournalError(f"{self._name}: the writer stopped at an earlier fault and must be opened anew: {self._broken}")
        if not entries:
            return self._end
        self._check(entries)
        delivery = _Delivery(len(entries))
        sent = 0
        try:
            for entry in entries:
                self._sender.send(self._topic, self._partition, entry.key, entry.value, entry.timestamp_ms, delivery.report)
                sent += 1
        except (KafkaException, BufferError) as error:
            raise self._broke(self._refused(error, sent)) from error
        began_s = time.monotonic()
        end_s = began_s + self._cluster.address.timeout_ms / 1000 + GRACE_S
        while not delivery.complete.wait(SLICE_S):
            if self._sender.fatal is not None:
                raise self._broke(self._failed(self._sender.fatal, len(entries), time.monotonic() - began_s))
            if time.monotonic() > end_s:
                self._sender.spent = True
                raise self._broke(self._unacknowledged(len(entries), time.monotonic() - began_s, "librdkafka reports nothing"))
        if delivery.errors:
            raise self._broke(self._failed(self._sender.reason(delivery.errors[0]), len(entries), time.monotonic() - began_s))
        return self._acknowledged(delivery.offsets)

    def close(self) -> None:
        if self._broken != "it was closed":
            self._broken = "it was closed"
            self._closed()

    def _check(self, entries: Sequence[Entry]) -> None:
        limit = self._record_bytes
        for number, entry in enumerate(entries):
            if (size := len(entry.key) + len(entry.value)) > limit:
                raise TooLarge(f"{self._name}: entry {number} of {len(entries)} has {size} bytes, the limit is {limit}")
            if entry.timestamp_ms < 1:
                raise ValueError(f"{self._name}: entry {number} has the time {entry.timestamp_ms}: Kafka takes none before 1")

    def _acknowledged(self, offsets: list[int]) -> int:
        """The first offset. Other entries in between mean a second writer: harmless, but it must be reported."""
        first, last = min(offsets), max(offsets)
        alone = first == self._end and last - first + 1 == len(offsets)
        # Entries that a killed predecessor had sent may arrive between our query of the end and our first append.
        fresh, self._fresh, expected = self._fresh, False, self._end
        self._end = last + 1
        if not alone and not fresh:
            raise self._broke(
                Locked(
                    f"{self._name} has a writer besides this one: offset {expected} and on to {last} hold entries that are not ours. Nothing is "
                    "lost; find the other process and end one of the two"
                )
            )
        return first

    def _refused(self, error: Exception, sent: int) -> JournalError:
        if isinstance(error, BufferError):
            reason = "the queue of unsent entries is full"
        else:
            reason = why(self._sender.reason(error.args[0]))
        if not sent:
            return JournalError(f"{self._cluster.address}: {self._name}: cannot append: {reason}")
        return self._unacknowledged(sent, 0.0, reason)

    def _failed(self, error: KafkaError, count: int, took_s: float) -> JournalError:
        if error.fatal():
            self._sender.spent = True
        if error.code() in AWAY or error.code() in MOVING:
            return self._unacknowledged(count, took_s, self._diagnosis())
        return explained(error, f"{self._cluster.address}: {self._name}: cannot append {count} entries (some may be there)")

    def _unacknowledged(self, count: int, took_s: float, reason: str) -> Unacknowledged:
        because = f": {reason}" if reason else ""
        return Unacknowledged(
            f"{self._cluster.address}: {self._name}: {count} entries were not acknowledged within {took_s:.0f} s{because}. They may be there "
            "or not; a repeat is harmless"
        )

    def _broke(self, error: JournalError) -> JournalError:
        self._broken = str(error)
        return error
