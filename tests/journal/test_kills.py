"""SIGKILL of a writer, again and again: what was acknowledged is there, and what was read stays what it was."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka_server import Broker

from core.message import Message
from journal import Entry, Limits, Reader, open_journal
from journal.files import FileJournal
from journal.repair import check, losses, repair

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
    received: list[Message] = []
    chance = random.Random(7)
    acknowledged = 0
    for round_no in range(rounds):
        acknowledged = max(acknowledged, _write_until_killed(dsn, round_no, chance.uniform(0.02, 0.25), reader, received))
        assert journal.end_offset("calls", 0) >= acknowledged
    journal.create("calls", 1)
    end = journal.end_offset("calls", 0)
    until_s = time.monotonic() + 20
    while reader.offset < end and time.monotonic() < until_s:
        received += reader.read()
    again = _all(journal.reader("calls", 0, 0))
    assert [m.offset for m in again] == list(range(len(again)))
    assert [int(m.value.split()[0]) for m in again] == list(range(len(again)))
    assert received == again
    assert len(again) >= acknowledged > rounds


def _write_until_killed(dsn: str, seed: int, life_s: float, reader: Reader, received: list[Message]) -> int:
    """The last acknowledged number that the writer printed. The reader reads meanwhile."""
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
        received += reader.read(max_messages=50)
        time.sleep(0.001)
    process.kill()
    output = (first + process.stdout.read()).decode().splitlines()
    process.wait()
    return int(output[-1])


def _all(reader: Reader) -> list[Message]:
    out: list[Message] = []
    while got := reader.read():
        out += got
    return out


# --- retention and repair: killed before each touch of the disk ---------------------------------------------------------------------


COUNT = 60


def filled(home: Path) -> None:
    """A partition of several segments."""
    journal = FileJournal(home, Limits(segment_bytes=4096, retention_ms=None))
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    for first in range(0, COUNT, 3):
        writer.append([Entry(b"k", b"%d" % n + b"y" * 300, 1 + n) for n in range(first, first + 3)])
    writer.close()


def killed_at(home: Path, action: str, step: int) -> bool:
    """Whether it was killed; else it came to its end."""
    script = Path(__file__).with_name("kill_at_step.py")
    done = subprocess.run(
        [sys.executable, str(script), str(home), action, str(step)], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.returncode in (0, -9), done.stderr.decode()
    return done.returncode == -9


def each_step(tmp_path: Path, action: str, prepare: Callable[[Path], None]) -> Iterator[Path]:
    for step in range(1, 200):
        home = tmp_path / f"{action}-{step}"
        prepare(home)
        if not killed_at(home, action, step):
            assert step > 2
            return
        yield home
    raise AssertionError("it never came to its end")


def opened(home: Path) -> list[Message]:
    """What a partition holds after it was opened as every process opens it, and what is appended next comes at its end."""
    journal = FileJournal(home, Limits(segment_bytes=4096, retention_ms=None))
    journal.create("calls", 1)
    end = journal.end_offset("calls", 0)
    writer = journal.writer("calls", 0)
    assert writer.append([Entry(b"k", b"next", 1)]) == end
    writer.close()
    return _all(journal.reader("calls", 0, journal.first_offset("calls", 0)))


@pytest.mark.parametrize("action", ["retain", "roll"])
def test_a_kill_in_the_middle_of_retention_leaves_a_journal_that_opens(tmp_path: Path, action: str) -> None:
    def prepare(home: Path) -> None:
        filled(home)
        if action == "retain":
            FileJournal(home).mark_read("calls", 0, "judge", 31)

    firsts = set()
    for home in each_step(tmp_path, action, prepare):
        there = [m.offset for m in opened(home)]
        assert there == list(range(there[0], there[-1] + 1)) and there[-1] in (COUNT, COUNT + 1)
        assert there[0] <= 31 or action == "roll"
        firsts.add(there[0])
    assert len(firsts) > 2, "it was killed between segments"


def test_a_kill_in_the_middle_of_a_repair_leaves_it_to_the_next_one(tmp_path: Path) -> None:
    lost: list[int] = []

    def prepare(home: Path) -> None:
        filled(home)
        part = home / "calls" / "0"
        paths = sorted(part.glob("*.log"))
        for path, at in ((paths[1], 50), (paths[3], 700)):
            content = bytearray(path.read_bytes())
            content[at] ^= 1
            path.write_bytes(content)
        (part / f"{99999:020d}.log").write_bytes(b"stray")

    for home in each_step(tmp_path, "repair", prepare):
        for damage in check(home, "calls"):
            repair(home, damage, 2_000)
        assert check(home, "calls") == []
        found = sorted(loss.first for loss in losses(home))
        lost = lost or found
        assert found == lost and len(lost) == 2, "each loss is named once, whichever repair came to it"
        assert all(Path(loss.kept).stat().st_size == loss.bytes for loss in losses(home))
        assert [m.offset for m in opened(home)] == [n for n in range(COUNT + 1) if n not in lost]


def test_a_kill_leaves_an_old_mark_or_a_new_one(tmp_path: Path) -> None:
    def prepare(home: Path) -> None:
        FileJournal(home).create("calls", 1)
        FileJournal(home).mark_read("calls", 0, "judge", 7)

    found = {FileJournal(home).readers("calls", 0)["judge"] for home in each_step(tmp_path, "mark", prepare)}
    assert found == {7, 40}
