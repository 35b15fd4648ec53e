"""SIGKILL of a writer, again and again: what was acknowledged is there, and what was read stays what it was."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka_server import Broker

from journal import Limits, Message, Reader, open_journal

ROOT = Path(__file__).parents[2]
FOR_EVER = Limits(retention_ms=None)


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path: Path) -> None:
    count_after_kills(f"files://{tmp_path}/journal", rounds=12)


@pytest.mark.kafka
def test_nothing_acknowledged_is_lost_when_a_writer_to_kafka_is_killed(broker: Broker, prefix: str) -> None:
    count_after_kills(broker.dsn(prefix=prefix), rounds=5)


def count_after_kills(dsn: str, rounds: int) -> None:
    journal = open_journal(dsn, FOR_EVER)
    journal.create("calls", 1)
    reader = journal.reader("calls", 0, 0)
    seen: list[Message] = []
    chance = random.Random(7)
    acknowledged = 0
    for round_no in range(rounds):
        acknowledged = max(acknowledged, _write_until_killed(dsn, round_no, chance.uniform(0.02, 0.25), reader, seen))
        assert journal.end_offset("calls", 0) >= acknowledged
    journal.create("calls", 1)
    end = journal.end_offset("calls", 0)
    until_s = time.monotonic() + 20
    while reader.offset < end and time.monotonic() < until_s:
        seen += reader.read()
    again = _all(journal.reader("calls", 0, 0))
    assert [m.offset for m in again] == list(range(len(again)))
    assert [int(m.value.split()[0]) for m in again] == list(range(len(again)))
    assert seen == again
    assert len(again) >= acknowledged > rounds


def _write_until_killed(dsn: str, seed: int, life_s: float, reader: Reader, seen: list[Message]) -> int:
    """How far the writer said that it had come. The reader reads beside it."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("append_for_ever.py")), dsn, str(seed)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first, "the writer did not start"
    until = time.monotonic() + life_s
    while time.monotonic() < until:
        seen += reader.read(max_messages=50)
        time.sleep(0.001)
    process.kill()
    said = (first + process.stdout.read()).decode().splitlines()
    process.wait()
    return int(said[-1])


def _all(reader: Reader) -> list[Message]:
    out: list[Message] = []
    while got := reader.read():
        out += got
    return out
