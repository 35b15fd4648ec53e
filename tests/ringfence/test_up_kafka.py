"""`ringfence up` on Apache Kafka: the broker is killed meanwhile, and no record is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from kafka_server import Broker
from running_up import Up

from core import topics
from core.message import Message
from core.record import TICK_KEY
from flows.batches import from_value
from journal import Entry, Journal, JournalError, open_journal
from ringfence.settings import Settings
from services import first_start

FATES = ("rated", "unrated", "events", "rejected", "duplicates", "conflicts")

CALM = ("--simulate", "--attack-after-s", "100000", "--calls-per-s", "4")

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def messages(journal: Journal, topic: str) -> list[tuple[int, Message]]:
    found: list[tuple[int, Message]] = []
    for partition in range(journal.partitions(topic)):
        reader, end = journal.reader(topic, partition, 0), journal.end_offset(topic, partition)
        while reader.offset < end:
            found += [(partition, message) for message in reader.read()]
        reader.close()
    return found


def test_a_broker_outage_is_reported_and_records_received_meanwhile_are_caught_up(
    tmp_path: Path, broker: Broker, prefix: str
) -> None:
    dsn = broker.dsn(prefix=prefix, timeout_ms=3000)
    up = Up(tmp_path / "home", *CALM, JOURNAL=dsn)
    try:
        up.until_output(r"rated [1-9]")
        broker.kill()
        up.until_output("The journal cannot be read", 60)
        collector = up.endpoints()["collector_url"]
        up.until(lambda: spooling(collector), 60)
        without = up.run("status")
        assert without.returncode == 1 and "RINGFENCE_JOURNAL: kafka://" in without.stderr and "no broker answers" in without.stderr
        assert "Traceback" not in without.stderr
        broker.start()
        up.until_output("The journal can be read again", 60)
        up.until(lambda: not spooling(collector), 90)
        up.until(lambda: json.loads(up.run("status", "--json").stdout or '{"lag": 99}')["lag"] < 50, 120)
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(90) == 0, up.output()
    finally:
        up.process.kill()
        if broker.process is None:
            broker.start()
    assert "Traceback" not in up.output()
    status = json.loads(up.ask("status", "--json"))
    assert status["received"] == sum(status[fate] for fate in FATES) > 100
    # Every record has its row, except those that came after judge had stopped.
    journal = open_journal(dsn)
    rows = {
        (partition, offset)
        for partition, message in messages(journal, topics.JUDGED)
        if message.key == b"records"
        for offset in from_value(message.value)["offset"]
    }
    records = {(partition, m.offset) for partition, m in messages(journal, topics.CALLS) if m.key != TICK_KEY}
    assert rows <= records and len(rows) > 100
    for partition in {partition for partition, _ in rows}:
        judged_to = max(offset for where, offset in rows if where == partition)
        assert {(p, o) for p, o in records if p == partition and o <= judged_to} <= rows


def spooling(url: str) -> bool:
    import httpx2

    return bool(httpx2.get(f"{url}/v1/health", timeout=30.0, trust_env=False).json()["spooling"])


def test_without_a_broker_nothing_starts_and_the_error_names_the_setting(tmp_path: Path) -> None:
    up = Up(tmp_path / "home", *CALM, JOURNAL="kafka://127.0.0.1:1?replication=1")
    assert up.process.wait(60) == 1
    assert "RINGFENCE_JOURNAL: kafka://127.0.0.1:1: " in up.output() and "no broker answers" in up.output()
    assert "Traceback" not in up.output()


def test_repartition_adds_partitions_and_is_refused_while_a_collector_writes(tmp_path: Path, broker: Broker, prefix: str) -> None:
    settings = Settings(home=tmp_path / "home", journal=broker.dsn(prefix=prefix), _env_file=None)
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), 1)
    env = os.environ | settings.environment()
    command = [sys.executable, "-m", "ringfence", "repartition", "--partitions", "6"]
    journal = open_journal(settings.journal_dsn)
    ticking, done = threading.Event(), threading.Event()

    def tick() -> None:
        writer = open_journal(settings.journal_dsn).writer(topics.CALLS, 0)
        while not done.wait(0.5):
            writer.append([Entry(TICK_KEY, b'{"at_ms":1,"config_version":1,"complete_to_ms":{}}', time.time_ns() // 1_000_000)])
            ticking.set()
        writer.close()

    collector = threading.Thread(target=tick)
    collector.start()
    try:
        assert ticking.wait(30)
        refused = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    finally:
        done.set()
        collector.join()
    assert refused.returncode == 1 and "stop all parts first" in refused.stderr
    assert journal.partitions(topics.CALLS) == 4
    moved = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert moved.returncode == 0 and "calls has 6 partitions" in moved.stdout, moved.stderr
    assert {topic: journal.partitions(topic) for topic in topics.TOPICS} == topics.partitions_of(6)
    with pytest.raises(JournalError, match="has 6 partitions, 4 were asked for"):
        first_start.lay(settings.installation)
