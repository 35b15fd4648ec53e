"""What hangs is told, what speaks has a bound, and a full disk stops nobody from working."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.topics import CALLS
from journal import Entry, create_topics, open_journal
from ringfence.ops import logs
from ringfence.ops.heartbeat import Beat
from ringfence.ops.logs import Steady
from ringfence.ops.supervisor import Child, Supervisor


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(said.append)
    yield made
    made.stop()


def test_a_part_that_is_alive_and_does_nothing_is_told_and_left_to_a_person(
    supervisor: Supervisor, said: list[str], tmp_path: Path
):
    beat = tmp_path / "judge.beat"
    command = ["bash", "-c", "echo thinking; sleep 300"]
    child = Child("judge", command, tmp_path / "judge.log", dict(os.environ), beat)
    supervisor.start(child)
    began_s = child.started_s
    time.sleep(0.3)
    supervisor.check(began_s + 59)
    assert not said and supervisor.silent() == []
    supervisor.check(began_s + 61)
    supervisor.check(began_s + 62)
    assert len(said) == 1 and said[0].startswith("judge hangs: alive, and no heartbeat for 60 s")
    assert f"kill -9 {child.process.pid}" in said[0] and "thinking" in said[0]  # type: ignore[union-attr]
    assert supervisor.silent() == ["judge"] and supervisor.running() == {"judge": True}
    beat.touch()
    supervisor.check(began_s + 70)
    assert said[1] == "judge is at work again" and supervisor.silent() == []


def test_a_part_without_a_file_is_only_asked_to_be_alive(supervisor: Supervisor, said: list[str], tmp_path: Path):
    supervisor.start(Child("other", ["sleep", "300"], tmp_path / "other.log", dict(os.environ)))
    supervisor.check(supervisor.children[0].started_s + 1e6)
    assert not said


def test_every_look_into_the_journal_is_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ringfence.ops.heartbeat.EVERY_S", 0.0)
    journal = open_journal(f"files://{tmp_path / 'journal'}")
    create_topics(journal)
    writer = journal.writer(CALLS, 0)
    writer.append([Entry(b"k", b"v", 1)])
    writer.close()
    beat = Beat(tmp_path / "judge.beat")
    watched = beat.at(journal)
    assert watched.partitions(CALLS) == journal.partitions(CALLS)
    reader = watched.reader(CALLS, 0, 0)
    os.utime(tmp_path / "judge.beat", (1, 1))
    assert [message.value for message in reader.read()] == [b"v"] and reader.offset == 1
    assert (tmp_path / "judge.beat").stat().st_mtime > 1
    reader.close()


def test_a_log_is_cut_at_its_bound_and_what_is_written_goes_on(supervisor: Supervisor, tmp_path: Path):
    log = tmp_path / "talker.log"
    supervisor.start(Child("talker", ["bash", "-c", "while :; do echo line; sleep 0.01; done"], log, dict(os.environ)))
    end = time.monotonic() + 10
    while not log.stat().st_size:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert not logs.bound(log, 1 << 20)
    assert logs.bound(log, 1)
    assert log.with_name("talker.log.1").read_text().startswith("line\n")
    time.sleep(0.3)
    assert log.read_bytes().startswith(b"line\n"), "it begins anew at its start, not behind a hole"


def test_a_log_that_is_none_yet_has_no_bound(tmp_path: Path):
    assert not logs.bound(tmp_path / "none.log", 1)


def test_a_full_disk_stops_nobody_who_speaks():
    """/dev/full takes nothing, as a full disk does."""
    program = """
import logging, os, sys, structlog
from ringfence.ops import logs
logs.speak("info")
structlog.get_logger("a").warning("structlog says")
logging.getLogger("b").error("logging says")
print("worked", flush=True)
"""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "worked\n")


def test_how_much_was_lost_is_told_when_there_is_room_again(tmp_path: Path):
    full = os.open("/dev/full", os.O_WRONLY)
    out = Steady(full)
    out.write("one\ntwo\n")
    out.write("three\n")
    assert out.lost == 3
    with (tmp_path / "log").open("wb") as log:
        os.dup2(log.fileno(), full)
        print("four", file=out, flush=True)
    os.close(full)
    assert (tmp_path / "log").read_text() == "3 lines of this log are lost: its disk was full\nfour\n"
