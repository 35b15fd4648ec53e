"""Hanging parts are reported, logs are rotated, and a full disk does not stop a part."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.topics import CALLS
from journal import Entry, create_topics, open_journal
from ringfence.ops import logs
from ringfence.ops.heartbeat import Beat
from ringfence.ops.logs import LossyStream
from ringfence.ops.supervisor import Child, Supervisor


def test_a_part_without_a_heartbeat_is_reported_and_not_killed(supervisor: Supervisor, reports: list[str], tmp_path: Path):
    beat = tmp_path / "judge.beat"
    command = ["bash", "-c", "echo thinking; sleep 300"]
    child = Child("judge", command, tmp_path / "judge.log", dict(os.environ), beat)
    supervisor.start(child)
    began_s = child.started_s
    time.sleep(0.3)
    supervisor.check(began_s + 59)
    assert not reports and supervisor.silent() == []
    supervisor.check(began_s + 61)
    supervisor.check(began_s + 62)
    assert len(reports) == 1 and reports[0].startswith("judge hangs: alive, but no heartbeat for 60 s")
    assert f"kill -9 {child.process.pid}" in reports[0] and "thinking" in reports[0]  # type: ignore[union-attr]
    assert supervisor.silent() == ["judge"] and supervisor.running() == {"judge": True}
    beat.touch()
    supervisor.check(began_s + 70)
    assert reports[1] == "judge works again" and supervisor.silent() == []


def test_a_part_without_a_heartbeat_file_never_hangs(supervisor: Supervisor, reports: list[str], tmp_path: Path):
    supervisor.start(Child("other", ["sleep", "300"], tmp_path / "other.log", dict(os.environ)))
    supervisor.check(supervisor.children[0].started_s + 1e6)
    assert not reports


def test_every_read_of_the_journal_is_a_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
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


def test_a_log_is_rotated_while_a_process_writes_to_it(supervisor: Supervisor, tmp_path: Path):
    log = tmp_path / "talker.log"
    supervisor.start(Child("talker", ["bash", "-c", "while :; do echo line; sleep 0.01; done"], log, dict(os.environ)))
    end = time.monotonic() + 10
    while not log.stat().st_size:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert not logs.rotate(log, 1 << 20)
    assert logs.rotate(log, 1)
    assert log.with_name("talker.log.1").read_text().startswith("line\n")
    time.sleep(0.3)
    assert log.read_bytes().startswith(b"line\n"), "it starts at offset 0, not behind a hole"


def test_a_log_that_does_not_exist_is_not_rotated(tmp_path: Path):
    assert not logs.rotate(tmp_path / "none.log", 1)


def test_a_full_disk_does_not_stop_a_process_that_logs():
    """/dev/full refuses every write, as a full disk does."""
    program = """
import logging, os, sys, structlog
from ringfence.ops import logs
logs.configure("info")
structlog.get_logger("a").warning("from structlog")
logging.getLogger("b").error("from logging")
print("worked", flush=True)
"""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "worked\n")


def test_the_number_of_lost_lines_is_logged_once_there_is_room(tmp_path: Path):
    full = os.open("/dev/full", os.O_WRONLY)
    out = LossyStream(full)
    out.write("one\ntwo\n")
    out.write("three\n")
    assert out.lost == 3
    with (tmp_path / "log").open("wb") as log:
        os.dup2(log.fileno(), full)
        print("four", file=out, flush=True)
    os.close(full)
    assert (tmp_path / "log").read_text() == "3 lines of this log are lost: its disk was full\nfour\n"
