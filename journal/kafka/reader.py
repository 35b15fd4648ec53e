"""A position in a partition of Kafka."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError

from core.message import Message
from journal.kafka.cluster import Cluster
from journal.kafka.faults import explained
from journal.kafka.intake import Intake, Lane
from journal.protocol import Gap, JournalError, Torn, ahead, trimmed

SLICE_S = 0.02
PATIENCE_S = 30.0
"""A reader at the end of its partition tolerates brokers that are away for so long; after that it fails, and its process ends."""


class KafkaReader:
    """Waits for messages that existed when it was opened (as a file waits for its disk); never for later ones.

    So `read` never returns `[]` before the end that was found at the opening: a caller who reads until `[]` has read all of it.
    """

    def __init__(self, cluster: Cluster, intakes: list[Intake], topic: str, partition: int, offset: int) -> None:
        self._cluster, self._name = cluster, f"{topic}/{partition}"
        self.offset = offset
        self.gaps: list[Gap] = []  # always empty: what is missing on a broker is `Torn`
        place = cluster.address.prefix + topic
        first, self._there = cluster.offsets(place, partition)
        self._check_between(first, self._there)
        self._intake, self._lane = _lane(cluster, intakes, place, partition, offset)

    def read(self, max_messages: int = 4096, max_bytes: int = 8 << 20) -> list[Message]:
        if self.offset < self._there:
            self._wait(min(max_messages, self._there - self.offset), max_bytes)
        out = self._intake.take(self._lane, max_messages, max_bytes)
        if not out:
            self._check()
        else:
            self.offset = out[-1].offset + 1
        return out

    def close(self) -> None:
        self._intake.remove(self._lane)

    def __del__(self) -> None:
        if hasattr(self, "_lane"):
            self.close()

    def _wait(self, count: int, size: int) -> None:
        """Waits until so many of the known messages have arrived, or for a fault before them."""
        lane, end_s = self._lane, time.monotonic() + self._cluster.address.timeout_ms / 1000
        while len(lane.messages) < count and lane.bytes < size and not lane.is_stopped():
            if self._intake.pump(SLICE_S):
                end_s = time.monotonic() + self._cluster.address.timeout_ms / 1000
            elif time.monotonic() > end_s:
                if lane.messages:
                    return
                raise self._cluster.away(f"{self._name}: offset {self.offset} exists and does not arrive")

    def _check(self) -> None:
        """Raises if nothing arrives because of a fault."""
        lane = self._lane
        if lane.error is not None:
            raise self._fault(lane.error)
        if lane.gap_at >= 0:
            raise Torn(
                f"{self._cluster.address}: {self._name}: offset {self.offset} is missing, {lane.gap_at} comes next: the topic is compacted, "
                "or another program writes to it in transactions. Neither may be"
            )
        if self._cluster.down_s() > PATIENCE_S:
            raise self._cluster.away(f"{self._name} cannot be read")

    def _fault(self, error: KafkaError) -> JournalError:
        what = f"{self._cluster.address}: {self._name} cannot be read at {self.offset}"
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            lane = self._lane
            first, end = self._cluster.offsets(lane.name, lane.partition)
            self._check_between(first, end)
            return JournalError(f"{what}, though it holds {first} to {end - 1}: {error.str()}")
        return explained(error, what)

    def _check_between(self, first: int, end: int) -> None:
        name = f"{self._cluster.address}: {self._name}"
        if self.offset > end:
            raise ahead(name, end, self.offset)
        if self.offset < first:
            raise trimmed(name, first, self.offset)


def _lane(cluster: Cluster, intakes: list[Intake], name: str, partition: int, offset: int) -> tuple[Intake, Lane]:
    """A lane of the first intake that does not serve this partition yet."""
    for intake in intakes:
        if (lane := intake.add(name, partition, offset)) is not None:
            return intake, lane
    intake = Intake(cluster)
    intakes.append(intake)
    lane = intake.add(name, partition, offset)
    assert lane is not None
    return intake, lane
