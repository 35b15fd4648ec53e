"""What Kafka does besides the contract: brokers that die, hang, refuse or forget, each against a real one."""

from __future__ import annotations

import gc
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from kafka_server import GUEST, GUEST_PASSWORD, HOST, PASSWORD, USER, Broker

from core.message import Message
from journal import (
    Entry,
    Journal,
    JournalError,
    Limits,
    Locked,
    OffsetAhead,
    OffsetTrimmed,
    Reader,
    TooLarge,
    Torn,
    Unacknowledged,
    Writer,
    open_journal,
)
from journal.kafka import KafkaJournal, handles

pytestmark = pytest.mark.kafka


def entries(*numbers: int) -> list[Entry]:
    now_ms = time.time_ns() // 1_000_000
    return [Entry(b"key", b"%d" % n, now_ms) for n in numbers]


def numbers(messages: list[Message]) -> list[int]:
    return [int(m.value) for m in messages]


def all_messages(journal: Journal, partition: int = 0) -> list[Message]:
    reader = journal.reader("calls", partition, journal.first_offset("calls", partition))
    out: list[Message] = []
    while got := reader.read():
        out += got
    reader.close()
    return out


def soon(reader: Reader, count: int, within_s: float = 30.0) -> list[Message]:
    out: list[Message] = []
    end_s = time.monotonic() + within_s
    while len(out) < count and time.monotonic() < end_s:
        out += reader.read()
    return out


def asked(broker: Broker, question: Callable[[AdminClient], dict]) -> list:
    """Something that an operator does to the cluster, done when it returns."""
    admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
    return [future.result(20) for future in question(admin).values()]


def read_on(reader: Reader, within_s: float = 30.0) -> None:
    """Until a fault; or so long."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        reader.read()


@pytest.fixture
def journal(broker: Broker, prefix: str) -> Journal:
    made = open_journal(broker.dsn(prefix=prefix, timeout_ms=3000))
    made.create("calls", 2)
    return made


# --- brokers that die and hang -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dsn", ["kafka://127.0.0.1:1", "kafka://127.0.0.1:1,127.0.0.1:2", "kafka://no-such-host.invalid:9092"])
def test_no_answer_is_an_error_within_seconds_with_the_address(dsn: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(JournalError, match=f"^{dsn}: .*no broker answers .*(refused|not known).*Check the address"):
        open_journal(dsn).create("calls", 4)
    assert time.monotonic() - began_s < 15


def test_a_killed_broker_that_comes_back_has_all_that_was_acknowledged_and_both_sides_go_on(
    broker: Broker, journal: Journal
) -> None:
    stop, acknowledged = threading.Event(), list[int]()
    writing = threading.Thread(target=append_until, args=(journal, stop, acknowledged))
    writing.start()
    reader, received = journal.reader("calls", 0, 0), list[Message]()
    try:
        for _ in range(2):
            received += soon(reader, 20)
            broker.kill()
            time.sleep(1.0)
            received += reader.read()
            broker.start()
            before = len(acknowledged)
            end_s = time.monotonic() + 60
            while len(acknowledged) < before + 10 and time.monotonic() < end_s:
                received += reader.read()  # the same reader, all the time
    finally:
        stop.set()
        writing.join(60)
        if broker.process is None:
            broker.start()
    stored = all_messages(journal)
    received += soon(reader, len(stored) - len(received))
    assert [m.offset for m in stored] == list(range(len(stored)))
    assert received == stored
    assert len(acknowledged) > 40 and set(acknowledged) <= set(numbers(stored))
    distinct = list(dict.fromkeys(numbers(stored)))  # an append that nobody knows of is repeated; the order stays
    assert distinct == sorted(distinct)


def append_until(journal: Journal, stop: threading.Event, acknowledged: list[int]) -> None:
    """As the collector does: after a fault the same entry again, through a new writer."""
    writer: Writer | None = None
    number = 0
    while not stop.is_set():
        try:
            writer = writer or journal.writer("calls", 0)
            writer.append(entries(number))
        except JournalError:
            if writer is not None:
                writer.close()
            writer = None
            time.sleep(0.1)
            continue
        acknowledged.append(number)
        number += 1
        time.sleep(0.005)
    if writer is not None:
        writer.close()


def test_the_error_of_an_unacknowledged_append_leaves_open_whether_it_is_stored(broker: Broker, journal: Journal) -> None:
    writer, reader = journal.writer("calls", 0), journal.reader("calls", 0, 0)
    writer.append(entries(0, 1))
    broker.pause()
    try:
        began_s = time.monotonic()
        with pytest.raises(
            Unacknowledged, match=r"calls/0: 2 entries were not acknowledged within .*may be there or not; a repeat"
        ):
            writer.append(entries(2, 3))
        assert time.monotonic() - began_s < 20
        with pytest.raises(JournalError, match="must be opened anew"):
            writer.append(entries(2, 3))
        writer.close()
        with pytest.raises(JournalError, match="no broker answers"):
            journal.writer("calls", 0)
        soon(reader, 2, within_s=1.0)
        assert reader.read() == []  # nothing new, as far as anybody can know
    finally:
        broker.resume()
    writer = reopened(lambda: journal.writer("calls", 0))
    writer.append(entries(2, 3))  # the repeat
    stored = all_messages(journal)
    assert [m.offset for m in stored] == list(range(len(stored)))
    assert numbers(stored) in ([0, 1, 2, 3], [0, 1, 2, 3, 2, 3])


Opened = TypeVar("Opened")


def reopened(opened: Callable[[], Opened]) -> Opened:
    """As soon as the cluster is back."""
    end_s = time.monotonic() + 30
    while True:
        try:
            return opened()
        except JournalError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.2)


def test_what_is_known_to_be_there_and_does_not_come_is_a_fault_and_not_the_end(broker: Broker, journal: Journal) -> None:
    writer = journal.writer("calls", 0)
    for _ in range(6):
        writer.append([Entry(b"", os.urandom(1_000_000), 2**42)] * 10)
    reader = journal.reader("calls", 0, 0)
    assert len(reader.read(max_messages=3)) == 3
    broker.pause()
    try:
        with pytest.raises(JournalError, match=r"calls/0: offset [0-9]+ exists and does not arrive: no broker answers"):
            read_on(reader)
    finally:
        broker.resume()
    stood_at = reader.offset
    assert stood_at < 60
    reader = reopened(lambda: journal.reader("calls", 0, stood_at))
    assert [m.offset for m in soon(reader, 60 - stood_at)] == list(range(stood_at, 60))


def test_a_cluster_without_enough_brokers_is_reported_and_takes_records_again_later(
    broker: Broker, prefix: str, tmp_path: Path
) -> None:
    with Broker(tmp_path / "second", beside=broker) as second:
        journal = open_journal(broker.dsn(prefix=prefix, replication=2, timeout_ms=5000))
        journal.create("calls", 1)
        change(broker, f"{prefix}calls", "min.insync.replicas", "2")
        second.kill()
        fault = append_until_refused(journal, "copies is in sync")
        assert "1 of its 2 copies is in sync, 2 must be: bring the other brokers back. They may be there or not" in fault
        second.start()
        writer = reopened(lambda: open_journal(broker.dsn(prefix=prefix, replication=2, timeout_ms=15000)).writer("calls", 0))
        writer.append(entries(100))
        stored = all_messages(journal)
        assert [m.offset for m in stored] == list(range(len(stored))) and numbers(stored)[-1] == 100
        asked(broker, lambda admin: admin.delete_topics([f"{prefix}calls"]))
    end_s = time.monotonic() + 30
    while brokers_of(broker) != 1 and time.monotonic() < end_s:
        time.sleep(0.2)


def brokers_of(broker: Broker) -> int | None:
    """How many the cluster has; None where the question went to a dead one."""
    admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
    try:
        return len(admin.describe_cluster(request_timeout=2).result(3).nodes)
    except (KafkaException, TimeoutError):
        return None


def append_until_refused(journal: Journal, reason: str, within_s: float = 60.0) -> str:
    """The error when the cluster has noticed that it lost a broker."""
    fault, end_s = "", time.monotonic() + within_s
    while reason not in fault and time.monotonic() < end_s:
        try:
            writer = journal.writer("calls", 0)
            try:
                writer.append(entries(0))
            finally:
                writer.close()
        except JournalError as error:
            fault = str(error)
    return fault


def change(broker: Broker, topic: str, setting: str, value: str) -> None:
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    asked(broker, lambda admin: admin.incremental_alter_configs([resource]))
    end_s = time.monotonic() + 20
    while settings_of(broker, topic)[setting] != value and time.monotonic() < end_s:
        time.sleep(0.05)


def settings_of(broker: Broker, topic: str) -> dict[str, str]:
    (made,) = asked(broker, lambda admin: admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))
    return {name: entry.value for name, entry in made.items()}


def test_more_copies_than_brokers_are_refused_with_both_numbers(broker: Broker, prefix: str) -> None:
    with pytest.raises(JournalError, match=r"with 3 copies: the cluster has 1 broker\. .*replication=1"):
        open_journal(broker.dsn(prefix=prefix, replication=3)).create("calls", 4)


# --- topics that are not what they were ----------------------------------------------------------------------------------------


def test_an_offset_that_retention_removed_is_an_error_and_not_skipped(broker: Broker, prefix: str) -> None:
    journal = open_journal(broker.dsn(prefix=prefix, retention_ms=1000), Limits(segment_bytes=1 << 20))
    journal.create("calls", 1)
    journal.writer("calls", 0).append([Entry(b"key", os.urandom(100_000), 1) for _ in range(30)])
    end_s = time.monotonic() + 60
    while (first := journal.first_offset("calls", 0)) == 0 and time.monotonic() < end_s:
        time.sleep(0.2)
    assert first > 0
    with pytest.raises(OffsetTrimmed, match=f"calls/0 begins at [0-9]+, the reader is at {first - 1}: retention removed"):
        journal.reader("calls", 0, first - 1)


def test_a_topic_with_a_shorter_retention_than_ours_is_logged_at_the_start(
    broker: Broker, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    open_journal(broker.dsn(prefix=prefix, retention_ms=3_600_000)).create("calls", 1)
    assert "keeps records for" not in caplog.text
    for dsn, asked in ((broker.dsn(prefix=prefix), "168.0 hours"), (broker.dsn(prefix=prefix, retention_ms=-1), "for ever")):
        caplog.clear()
        open_journal(dsn).create("calls", 1)
        assert f"{prefix}calls keeps records for 1.0 hours, our setting is {asked}" in caplog.text


def test_a_reader_whose_offset_is_deleted_meanwhile_gets_an_error(broker: Broker, prefix: str, journal: Journal) -> None:
    writer = journal.writer("calls", 0)
    for _ in range(6):
        writer.append([Entry(b"", os.urandom(1_000_000), 2**42)] * 10)
    writer.append(entries(60, 61))
    reader = journal.reader("calls", 0, 0)
    assert len(reader.read(max_messages=3)) == 3
    asked(broker, lambda admin: admin.delete_records([TopicPartition(f"{prefix}calls", 0, 60)]))
    assert journal.first_offset("calls", 0) == 60
    with pytest.raises(OffsetTrimmed, match=r"calls/0 begins at 60, the reader is at [0-9]+: retention removed"):
        read_on(reader)  # what had been fetched is still given
    assert 3 <= reader.offset < 60
    with pytest.raises(OffsetTrimmed, match="begins at 60, the reader is at 59"):
        journal.reader("calls", 0, 59)
    assert numbers(journal.reader("calls", 0, 60).read()) == [60, 61]


def test_a_topic_that_was_made_anew_is_another_journal(broker: Broker, prefix: str, journal: Journal) -> None:
    journal.writer("calls", 0).append(entries(*range(10)))
    reader = journal.reader("calls", 0, 0)
    assert len(reader.read()) == 10
    asked(broker, lambda admin: admin.delete_topics([f"{prefix}calls"]))
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        try:
            open_journal(broker.dsn(prefix=prefix)).partitions("calls")
        except JournalError:
            break
        time.sleep(0.1)
    again = open_journal(broker.dsn(prefix=prefix))
    again.create("calls", 2)
    again.writer("calls", 0).append(entries(*range(3)))
    with pytest.raises(OffsetAhead, match="calls/0 ends at 3, the reader is at 10: it read another journal before"):
        again.reader("calls", 0, 10)
    with pytest.raises(JournalError, match=r"ends at 3, the reader is at 10|is not there any more"):
        read_on(reader)


def test_topics_of_release_0_1_are_refused_in_one_sentence_and_nothing_is_created(broker: Broker, prefix: str) -> None:
    asked(broker, lambda admin: admin.create_topics([NewTopic(f"{prefix}calls", 2, 1)]))  # 0.1 had no topic of the format
    refused = rf"{prefix}calls is a topic of Ringfence 0\.1, which this release does not read: .*create {prefix}format-2 too"
    for use in (
        lambda journal: journal.create("calls", 2),
        lambda journal: journal.create("judged", 2),
        lambda journal: journal.partitions("calls"),
        lambda journal: journal.reader("calls", 0, 0),
        lambda journal: journal.writer("calls", 0),
    ):
        with pytest.raises(JournalError, match=refused):
            use(open_journal(broker.dsn(prefix=prefix)))
    admin = AdminClient({"bootstrap.servers": broker.address})
    assert [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)] == [f"{prefix}calls"]
    asked(broker, lambda admin: admin.create_topics([NewTopic(f"{prefix}format-2", 1, 1)]))  # an operator who creates topics
    open_journal(broker.dsn(prefix=prefix)).create("calls", 2)


def test_partitions_that_somebody_else_added_are_refused_and_ours_come_by_grow(
    broker: Broker, prefix: str, journal: Journal
) -> None:
    asked(broker, lambda admin: admin.create_partitions([NewPartitions(f"{prefix}calls", 3)]))
    fresh = open_journal(broker.dsn(prefix=prefix))
    with pytest.raises(JournalError, match=r"calls has 3 partitions, 2 were asked for: .*repartition"):
        fresh.create("calls", 2)
    fresh.grow("calls", 4)
    fresh.create("calls", 4)
    assert fresh.writer("calls", 3).append(entries(0)) == 0


def test_a_compacted_topic_is_refused(broker: Broker, prefix: str, journal: Journal) -> None:
    change(broker, f"{prefix}calls", "cleanup.policy", "compact")
    with pytest.raises(JournalError, match=f"{prefix}calls has cleanup.policy=compact: set it to delete"):
        journal.create("calls", 2)


def test_a_hole_in_the_offsets_is_never_passed_in_silence(broker: Broker, prefix: str, journal: Journal) -> None:
    writer = journal.writer("calls", 0)
    writer.append(entries(0, 1))
    writer.close()
    foreign = Producer({"bootstrap.servers": broker.address, "transactional.id": f"{prefix}foreign"})
    foreign.init_transactions(30)
    foreign.begin_transaction()
    foreign.produce(f"{prefix}calls", b"2", partition=0)
    foreign.commit_transaction(30)
    while journal.end_offset("calls", 0) < 4:  # the marker takes an offset, soon
        time.sleep(0.01)
    journal.writer("calls", 0).append(entries(4))
    reader = journal.reader("calls", 0, 0)
    assert numbers(reader.read()) == [0, 1, 2]
    for _ in range(2):
        with pytest.raises(Torn, match=r"calls/0: offset 3 is missing, 4 comes next: .*in transactions"):
            reader.read()


def test_a_topic_that_takes_smaller_messages_is_an_error(broker: Broker, prefix: str, journal: Journal) -> None:
    change(broker, f"{prefix}calls", "max.message.bytes", "20000")
    with pytest.raises(TooLarge, match=r"calls/0: .*max\.message\.bytes"):
        journal.writer("calls", 0).append([Entry(b"", os.urandom(30_000), 1)])


def test_topics_are_made_as_they_must_be_and_asking_makes_none(broker: Broker, prefix: str, journal: Journal) -> None:
    with pytest.raises(JournalError, match=f"no topic judged .it would be {prefix}judged there"):
        journal.partitions("judged")
    with pytest.raises(JournalError, match="no topic judged"):
        journal.reader("judged", 0, 0)
    admin = AdminClient({"bootstrap.servers": broker.address})
    there = [name.removeprefix(prefix) for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
    assert sorted(there) == ["calls", "format-2"]
    made = settings_of(broker, f"{prefix}calls")
    assert made["cleanup.policy"] == "delete" and made["unclean.leader.election.enable"] == "false"
    assert made["retention.ms"] == str(7 * 24 * 3_600_000)
    assert made["flush.messages"] == "1"  # one copy: it is on the disk before it is acknowledged


def test_a_second_writer_is_detected_by_the_one_that_writes_next(broker: Broker, prefix: str, journal: Journal) -> None:
    first = journal.writer("calls", 0)
    first.append(entries(0))
    elsewhere = open_journal(broker.dsn(prefix=prefix))  # as in another process
    second = elsewhere.writer("calls", 0)
    second.append(entries(1))
    with pytest.raises(Locked, match=r"calls/0 has a writer besides this one: .*Nothing is lost"):
        first.append(entries(2))
    with pytest.raises(Locked, match="calls/0 has a writer besides this one"):
        second.append(entries(3))
    assert numbers(all_messages(journal)) == [0, 1, 2, 3]


# --- who may ---------------------------------------------------------------------------------------------------------------------


def allow(broker: Broker, user: str, topic: str, *operations: AclOperation) -> None:
    wanted = [
        AclBinding(
            ResourceType.TOPIC, topic, ResourcePatternType.PREFIXED, f"User:{user}", "*", operation, AclPermissionType.ALLOW
        )
        for operation in operations
    ]
    asked(broker, lambda admin: admin.create_acls(wanted))


PAGE = (Path(__file__).parents[2] / "docs" / "servers.md").read_text()
GRANTS = [AclOperation[re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper()] for name in re.findall(r"--operation (\w+)", PAGE)]
"""The grants of docs/servers.md on topics of our prefix, and nothing else."""


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_with_a_password_over_tls_and_the_grants_of_the_operators_guide_everything_works(
    broker: Broker, prefix: str, mechanism: str
) -> None:
    assert len(GRANTS) == 6
    allow(broker, USER, prefix, *GRANTS)
    journal = open_journal(broker.secure_dsn(prefix=prefix, mechanism=mechanism))
    reopened(lambda: journal.create("calls", 1))  # what was allowed comes into force in a moment
    journal.grow("calls", 2)
    journal.create("calls", 2)
    journal.writer("calls", 1).append(entries(0, 1))
    assert numbers(all_messages(journal, 1)) == [0, 1]
    assert PASSWORD not in f"{journal.address!r} {journal.address}"  # type: ignore[attr-defined]


def test_what_the_acls_do_not_allow_is_an_error_that_names_it(broker: Broker, prefix: str) -> None:
    allow(broker, USER, prefix, *GRANTS)
    reopened(lambda: open_journal(broker.secure_dsn(prefix=prefix)).create("calls", 1))
    stranger = open_journal(broker.secure_dsn(GUEST, GUEST_PASSWORD, prefix=prefix))
    refused = r"kafka\+ssl://guest@.*: the user is not allowed to do this .*[Aa]uthorization failed.*docs/servers.md"
    with pytest.raises(JournalError, match=refused):
        stranger.create("calls", 1)
    allow(broker, GUEST, prefix, AclOperation.DESCRIBE)
    reopened(lambda: stranger.create("calls", 1))  # it is there and right; its settings may not be looked at
    with pytest.raises(JournalError, match=refused):
        stranger.create("judged", 1)
    with pytest.raises(JournalError, match=refused):
        stranger.writer("calls", 0).append(entries(0))
    reader = stranger.reader("calls", 0, 0)
    with pytest.raises(JournalError, match=refused):
        soon(reader, 1)
    open_journal(broker.dsn(prefix=prefix)).writer("calls", 0).append(entries(7))
    allow(broker, GUEST, prefix, AclOperation.READ)
    assert numbers(reopened(lambda: all_messages(stranger))) == [7]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_wrong_password_is_an_error_at_once_and_never_shown(broker: Broker, mechanism: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(
        JournalError, match=r"kafka\+ssl://ringfence@.*the user or the password is refused .*[Aa]uthentication"
    ) as raised:
        open_journal(broker.secure_dsn(password="not-this-one", mechanism=mechanism)).create("calls", 1)
    assert "not-this-one" not in str(raised.value)
    assert time.monotonic() - began_s < 15


def test_a_certificate_that_does_not_match_is_refused(broker: Broker) -> None:
    refused = r"its TLS certificate is not accepted .*verify failed.*ca=.*host"
    with pytest.raises(JournalError, match=refused) as raised:
        open_journal(broker.secure_dsn(ca=broker.other_ca)).create("calls", 1)
    assert PASSWORD not in str(raised.value)
    with pytest.raises(JournalError, match=refused):
        open_journal(broker.secure_dsn(port=broker.strange_port)).create("calls", 1)  # the certificate of another host


def test_tls_and_no_tls_do_not_meet(broker: Broker) -> None:
    with pytest.raises(JournalError, match="PLAINTEXT broker listener"):
        open_journal(broker.secure_dsn(port=broker.port)).create("calls", 1)
    with pytest.raises(JournalError, match=r"no broker answers.*whether they want TLS \(kafka\+ssl://\)"):
        open_journal(f"kafka://{HOST}:{broker.secure_port}").create("calls", 1)


# --- addresses -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ("kafka://one", "'one' is not HOST:PORT"),
        ("kafka://one:9092,two", "'two' is not HOST:PORT"),
        ("kafka://one:99999", "is not HOST:PORT"),
        ("kafka://one:9092/topic", "another shape"),
        ("kafka://one:9092?replicas=3", "no option replicas"),
        ("kafka://one:9092?replication=0", "replication=0 is not a whole number from 1 to 32"),
        ("kafka://one:9092?replication=1&replication=2", "appears twice"),
        ("kafka://one:9092?prefix=a/b", "prefix=a/b has other characters"),
        ("kafka://one:9092?ca=/no/such/ca.pem", "ca needs kafka+ssl://"),
        ("kafka+ssl://one:9092?ca=/no/such/ca.pem", "ca=/no/such/ca.pem is no file"),
        ("kafka+ssl://ann:s3cret@one:9092?mechanism=GSSAPI", "mechanism=GSSAPI is none of"),
        ("kafka://ann:s3cret@one:9092?mechanism=PLAIN", "would send the password readable"),
        ("kafka+ssl://ann:s3c/ret@one:9092", "In a password write"),
        ("kafka+ssl://ann@one:9092", "a user needs a password"),
        ("kafka+ssl://one:9092?mechanism=PLAIN", "a mechanism needs user:password@"),
        ("redis://ann:s3cret@one", "redis://one is not a journal's address"),
    ],
)
def test_the_error_of_a_malformed_address_has_the_reason(dsn: str, reason: str) -> None:
    with pytest.raises(JournalError) as raised:
        open_journal(dsn)
    assert reason in str(raised.value) and "s3c" not in str(raised.value)


def test_a_journal_that_was_only_opened_has_made_no_connection() -> None:
    journal = open_journal("kafka://127.0.0.1:1")
    assert isinstance(journal, KafkaJournal) and str(journal.address) == "kafka://127.0.0.1:1"


def test_unused_clients_end_and_none_in_the_garbage_collector(broker: Broker, prefix: str) -> None:
    """An old traceback holds a journal in a ring, and the garbage collector may meet it in any thread."""
    others = list(handles._held)  # of other tests, whom a thread may still hold; held here, so that no id of theirs becomes one of ours
    journal = open_journal(broker.dsn(prefix=prefix))
    journal.create("calls", 1)
    journal.writer("calls", 0).append(entries(0))
    assert len(all_messages(journal)) == 1
    mine = {id(client) for client in handles._held} - {id(client) for client in others}
    assert mine
    ring = [journal]
    ring.append(ring)  # type: ignore[arg-type]
    del journal, ring
    gc.collect()
    end_s = time.monotonic() + 20
    while mine & {id(client) for client in handles._held} and time.monotonic() < end_s:
        gc.collect()
        time.sleep(0.2)
    assert not mine & {id(client) for client in handles._held}
