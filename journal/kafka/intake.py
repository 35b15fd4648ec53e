"""One consumer for the readers of many partitions: arriving messages are sorted into one lane per partition.

A consumer has four threads and a connection per broker: one consumer per partition would be a hundred threads for a dispatcher of
sixteen partitions. A partition that two readers read at once needs two intakes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from core.message import Message
from journal.kafka.cluster import Cluster

PUMP = 4096
HIGH_BYTES, LOW_BYTES = 16 << 20, 4 << 20
HIGH_MESSAGES, LOW_MESSAGES = 32_768, 4096
"""A lane over the high mark is paused until it is below the low mark."""


class Lane:
    """Messages that have arrived for one reader, in order, without a gap."""

    def __init__(self, name: str, partition: int, offset: int) -> None:
        self.name, self.partition = name, partition
        self.next = offset  # the offset that must arrive next
        self.messages: deque[Message] = deque()
        self.bytes = 0
        self.paused = False
        self.error: KafkaError | None = None
        self.gap_at = -1  # what arrived instead of `next`

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.name, self.partition)

    def is_stopped(self) -> bool:
        """Whether a fault precedes the next message."""
        return self.error is not None or self.gap_at >= 0

    def is_full(self) -> bool:
        return self.bytes > HIGH_BYTES or len(self.messages) > HIGH_MESSAGES

    def is_low(self) -> bool:
        return self.bytes < LOW_BYTES and len(self.messages) < LOW_MESSAGES

    def take(self, max_messages: int, max_bytes: int) -> list[Message]:
        """The oldest messages, at least one if there is one, however large."""
        out: list[Message] = []
        messages = self.messages
        while messages and len(out) < max_messages:
            size = len(messages[0].key) + len(messages[0].value)
            max_bytes -= size
            if max_bytes < 0 and out:
                break
            out.append(messages.popleft())
            self.bytes -= size
        return out


class Intake:
    """A consumer and its lanes. For any thread."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._consumer: Consumer = cluster.consumer()
        self._lock = threading.RLock()  # the garbage collector may close a reader while the thread holds the lock
        self._lanes: dict[tuple[str, int], Lane] = {}

    def add(self, name: str, partition: int, offset: int) -> Lane | None:
        """A lane from `offset` on; None if this intake already has one of that partition."""
        with self._lock:
            if (name, partition) in self._lanes:
                return None
            lane = self._lanes[name, partition] = Lane(name, partition, offset)
            self._consumer.incremental_assign([TopicPartition(name, partition, offset)])
            return lane

    def remove(self, lane: Lane) -> None:
        with self._lock:
            if self._lanes.get((lane.name, lane.partition)) is lane:
                del self._lanes[lane.name, lane.partition]
                self._consumer.incremental_unassign([lane.topic_partition])

    def pump(self, wait_s: float = 0.0) -> int:
        """Sorts arrived messages; waits up to `wait_s` for a first one. Returns their number."""
        with self._lock:
            got = self._consumer.consume(PUMP, 0)
            if not got and wait_s:
                got = self._consumer.consume(1, wait_s)
            if got:
                self._sort(got)
            return len(got)

    def take(self, lane: Lane, max_messages: int, max_bytes: int) -> list[Message]:
        with self._lock:
            if len(lane.messages) < max_messages:
                self.pump()
            out = lane.take(max_messages, max_bytes)
            if lane.paused and lane.is_low():
                lane.paused = False
                self._consumer.resume([lane.topic_partition])
            return out

    def _sort(self, got: Sequence[Any]) -> None:
        lanes, message, received = self._lanes, Message._make, False
        for m in got:
            lane = lanes.get((m.topic(), m.partition()))
            if lane is None:
                continue  # its reader is closed
            if (error := m.error()) is not None:
                lane.error = error
                continue
            offset = m.offset()
            if offset != lane.next:
                if offset > lane.next and lane.gap_at < 0:
                    lane.gap_at = offset
                continue  # a lower offset is a repeat
            key, value = m.key() or b"", m.value() or b""
            lane.messages.append(message((lane.partition, offset, m.timestamp()[1], key, value)))
            lane.bytes += len(key) + len(value)
            lane.next = offset + 1
            received = True
        if received:
            self._cluster.answered()
        for lane in lanes.values():
            if not lane.paused and lane.is_full():
                lane.paused = True
                self._consumer.pause([lane.topic_partition])
