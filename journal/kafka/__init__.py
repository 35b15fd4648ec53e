"""The journal on Apache Kafka: the same topics, partitions and offsets. How each promise holds: docs/decisions/kafka-gives-same-guarantees.md."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the package imports them for its users, and does not say so
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from core.topics import TOPICS
from journal.kafka.address import Address, parse
from journal.kafka.cluster import Cluster
from journal.kafka.faults import code_of
from journal.kafka.intake import Intake
from journal.kafka.reader import KafkaReader
from journal.kafka.writer import KafkaWriter
from journal.limits import Limits, check_grows, check_same, check_topic
from journal.protocol import JournalError, Locked, NoTopic

__all__ = ["Address", "KafkaJournal", "KafkaReader", "KafkaWriter", "parse"]

_log = logging.getLogger(__name__)

KNOWN_S = 20.0
"""How long a new topic may take until every broker knows it and every partition has a leader."""
FOREVER_MS = 2**63 - 1
FORMAT_TOPIC = "format-2"
"""An empty topic beside the others. Its name is the format of what they hold, as `format` is in the `topic.json` of a journal of files:
a topic of Kafka has no room for a fact of ours. Release 0.1 made none. It is created before the others."""
FORMAT_S = 3.0
"""How long a broker may take to know `FORMAT_TOPIC` when it knows another topic already: two processes start at once."""


class KafkaJournal:
    """A journal on a Kafka cluster. For any thread; each writer and reader is for one thread."""

    def __init__(self, address: Address, limits: Limits = Limits()) -> None:
        self.address = address
        self._limits = limits
        self._cluster = Cluster(address, limits.record_bytes)
        self._intakes: list[Intake] = []
        self._counts: dict[str, int] = {}
        self._format_checked = False
        self._writing: set[tuple[str, int]] = set()
        self._lock = threading.Lock()

    def create(self, topic: str, partitions: int) -> None:
        """Makes a topic with the replication of the address, and waits until it can be used. An existing one is checked."""
        check_topic(topic, partitions)
        there = self._look(topic)
        if there is None:
            self._create_format_topic()
            self._make(topic, partitions)
            there = self._wait_until_known(topic, partitions)
        self._check_format(topic)
        check_same(topic, len(there), partitions)
        self._check_settings(topic)
        self._counts[topic] = partitions

    def grow(self, topic: str, partitions: int) -> None:
        there = self.partitions(topic)
        check_grows(topic, there, partitions)
        if partitions == there:
            return
        name = self._name(topic)

        def question(admin: AdminClient, most_s: float) -> list[Future[Any]]:
            return list(admin.create_partitions([NewPartitions(name, partitions)], request_timeout=most_s).values())

        try:
            self._cluster.ask(question, f"cannot give {name} {partitions} partitions")
        except JournalError as error:
            if code_of(error.__cause__) != KafkaError.INVALID_PARTITIONS:  # it has them already: the answer to an earlier try was lost
                raise
        self._wait_until_known(topic, partitions)
        self._counts[topic] = partitions

    def partitions(self, topic: str) -> int:
        there = self._look(topic)
        if there is None:
            raise NoTopic(f"{self.address}: there is no topic {topic} (it would be {self._name(topic)} there)")
        self._check_format(topic)
        self._counts[topic] = len(there)
        return len(there)

    def writer(self, topic: str, partition: int) -> KafkaWriter:
        """`Locked` if this process has one already. A writer of another process is detected when both write (see `KafkaWriter`)."""
        self._check_partition(topic, partition)
        place = (topic, partition)
        with self._lock:
            if place in self._writing:
                raise Locked(f"{topic}/{partition} has a writer already, in this process")
            self._writing.add(place)
        try:
            return KafkaWriter(
                self._cluster,
                topic,
                partition,
                self._limits.record_bytes,
                diagnosis=lambda: self._diagnosis(topic, partition),
                closed=lambda: self._writing.discard(place),
            )
        except BaseException:
            self._writing.discard(place)
            raise

    def reader(self, topic: str, partition: int, offset: int) -> KafkaReader:
        self._check_partition(topic, partition)
        return KafkaReader(self._cluster, self._intakes, topic, partition, offset)

    def first_offset(self, topic: str, partition: int) -> int:
        self._check_partition(topic, partition)
        return self._cluster.offsets(self._name(topic), partition)[0]

    def end_offset(self, topic: str, partition: int) -> int:
        self._check_partition(topic, partition)
        return self._cluster.offsets(self._name(topic), partition)[1]

    def mark_read(self, topic: str, partition: int, reader: str, offset: int) -> None:
        """Does nothing: the brokers remove old records, read or not."""

    def readers(self, topic: str, partition: int) -> dict[str, int]:
        return {}

    def _name(self, topic: str) -> str:
        return self.address.prefix + topic

    def _check_partition(self, topic: str, partition: int) -> None:
        count = self._counts.get(topic) or self.partitions(topic)
        if not 0 <= partition < count:
            raise JournalError(f"{topic} has the partitions 0 to {count - 1}, not {partition}")

    # --- topics of the cluster ------------------------------------------------------------------------------------------------

    def _look(self, topic: str) -> list[Any] | None:
        """The partitions of a topic as the cluster describes them; None if there is no such topic. Asking does not make it."""
        name = self._name(topic)

        def question(admin: AdminClient, most_s: float) -> list[Future[Any]]:
            return list(admin.describe_topics(TopicCollection([name]), request_timeout=most_s).values())

        try:
            return list(self._cluster.ask(question, f"cannot look for the topic {name}")[0].partitions)
        except JournalError as error:
            if code_of(error.__cause__) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise

    def _create_format_topic(self) -> None:
        """Before the first topic of a journal. Where release 0.1 has left topics, nothing is created."""
        if self._look(FORMAT_TOPIC) is not None:
            return
        for topic in TOPICS:
            if self._look(topic) is not None:
                return self._check_format(topic)
        self._make(FORMAT_TOPIC, 1)
        self._wait_until_known(FORMAT_TOPIC, 1)

    def _check_format(self, topic: str) -> None:
        """That a topic which exists is not one of release 0.1."""
        if self._format_checked:
            return
        end_s = time.monotonic() + FORMAT_S
        while self._look(FORMAT_TOPIC) is None:
            if time.monotonic() > end_s:
                raise JournalError(
                    f"{self.address}: {self._name(topic)} is a topic of Ringfence 0.1, which this release does not read: write another prefix= "
                    f"behind the address, or start Ringfence 0.1 for it. (If you created the topics for this release, create "
                    f"{self._name(FORMAT_TOPIC)} too.)"
                )
            time.sleep(0.05)
        self._format_checked = True

    def _make(self, topic: str, partitions: int) -> None:
        name, address = self._name(topic), self.address
        new = NewTopic(name, partitions, address.replication, config=self._config())
        try:
            self._cluster.ask(
                lambda admin, most_s: admin.create_topics([new], request_timeout=most_s).values(),
                f"cannot make the topic {name}",
            )
        except JournalError as error:
            if code_of(error.__cause__) == KafkaError.INVALID_REPLICATION_FACTOR:
                brokers = len(
                    self._cluster.ask(lambda admin, most_s: [admin.describe_cluster(request_timeout=most_s)], "")[0].nodes
                )
                raise JournalError(
                    f"{address}: cannot make the topic {name} with {address.replication} copies: the cluster has {brokers} broker"
                    f"{'s' * (brokers != 1)}. Start more, or write replication={brokers} behind the address"
                ) from error
            if code_of(error.__cause__) != KafkaError.TOPIC_ALREADY_EXISTS:  # another process made it meanwhile
                raise

    def _config(self) -> dict[str, str]:
        """The settings of a new topic. What an operator changes later stays."""
        limits, address = self._limits, self.address
        retention_ms = self._retention_ms()
        config = {
            "cleanup.policy": "delete",
            "retention.ms": str(-1 if retention_ms is None else retention_ms),
            "retention.bytes": str(-1 if limits.retention_bytes is None else limits.retention_bytes),
            "segment.bytes": str(max(limits.segment_bytes, 1 << 20)),
            "segment.ms": str(limits.roll_ms),
            "max.message.bytes": str(self._cluster.message_bytes),
            "message.timestamp.type": "CreateTime",
            "message.timestamp.after.max.ms": str(FOREVER_MS),
            "message.timestamp.before.max.ms": str(FOREVER_MS),
            "min.insync.replicas": str(address.min_insync),
            "unclean.leader.election.enable": "false",
        }
        if address.min_insync == 1:
            config["flush.messages"] = "1"  # an acknowledged record is on two machines, or on a disk
        return config

    def _retention_ms(self) -> int | None:
        """The retention of a topic: that of the address, else of our limits; None = for ever."""
        asked = self.address.retention_ms
        return self._limits.retention_ms if asked is None else None if asked < 0 else asked

    def _wait_until_known(self, topic: str, partitions: int) -> list[Any]:
        end_s = time.monotonic() + KNOWN_S
        while True:
            there = self._look(topic) or []
            if len(there) >= partitions and all(one.leader is not None and one.leader.id >= 0 for one in there):
                return there
            if time.monotonic() > end_s:
                led = sum(one.leader is not None and one.leader.id >= 0 for one in there)
                raise JournalError(
                    f"{self.address}: {self._name(topic)} was made and has {led} of {partitions} partitions with a leader after {KNOWN_S:g} s: "
                    "are all brokers up?"
                )
            time.sleep(0.05)

    def _check_settings(self, topic: str) -> None:
        """Checks that the topic is not compacted: that would remove records from its middle. Without the right to look, readers detect it."""
        found = self._settings(topic)
        policy = found.get("cleanup.policy")
        if policy and "compact" in policy:
            raise JournalError(
                f"{self.address}: {self._name(topic)} has cleanup.policy={policy}: set it to delete, or records vanish from the middle of the log"
            )
        ours_ms, theirs_ms = self._retention_ms(), int(found.get("retention.ms", -1))
        if theirs_ms >= 0 and (ours_ms is None or theirs_ms < ours_ms):
            _log.warning(
                "%s: %s keeps records for %.1f hours, our setting is %s: the broker removes them, read or not. "
                "Set its retention.ms to %d",
                self.address, self._name(topic), theirs_ms / 3_600_000,
                "for ever" if ours_ms is None else f"{ours_ms / 3_600_000:.1f} hours", -1 if ours_ms is None else ours_ms,
            )  # fmt: skip

    def _min_insync(self, topic: str) -> int:
        return int(self._settings(topic).get("min.insync.replicas") or self.address.min_insync)

    def _settings(self, topic: str) -> dict[str, str]:
        """The settings of a topic; none without the right to look."""
        resource = ConfigResource(ResourceType.TOPIC, self._name(topic))

        def question(admin: AdminClient, most_s: float) -> list[Future[Any]]:
            return list(admin.describe_configs([resource], request_timeout=most_s).values())

        try:
            (config,) = self._cluster.ask(question, f"cannot look at the settings of {self._name(topic)}")
        except JournalError as error:
            if code_of(error.__cause__) in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
                return {}
            raise
        return {name: str(entry.value) for name, entry in config.items()}

    def _diagnosis(self, topic: str, partition: int) -> str:
        """Why a partition acknowledges nothing, if that can be found out."""
        try:
            return self._why_silent(topic, partition)
        except JournalError as error:
            return str(error).removeprefix(f"{self.address}: ")

    def _why_silent(self, topic: str, partition: int) -> str:
        there = self._look(topic) or []
        if len(there) <= partition:
            return f"{self._name(topic)} has no partition {partition} any more"
        one = there[partition]
        if one.leader is None or one.leader.id < 0:
            return "the partition has no leader: bring its brokers back"
        needed = min(self._min_insync(topic), len(one.replicas))
        if len(one.isr) < needed:
            return f"{len(one.isr)} of its {len(one.replicas)} copies is in sync, {needed} must be: bring the other brokers back"
        return "its broker answers questions, but was too slow to write"
