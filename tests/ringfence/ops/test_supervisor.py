"""Supervised processes are restarted, and never outlive their supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from until import until

from ringfence.ops.supervisor import Child, Supervisor


def child(name: str, script: str, tmp_path: Path) -> Child:
    return Child(name, ["bash", "-c", script], tmp_path / f"{name}.log", dict(os.environ))


def test_a_process_that_dies_is_reported_and_restarted_after_a_pause(supervisor: Supervisor, reports: list[str], tmp_path: Path):
    supervisor.start(child("flaky", "echo the disk is full >&2; exit 3", tmp_path))
    until(lambda: supervisor.children[0].process.poll() is not None)  # type: ignore[union-attr]
    supervisor.check(100.0)
    assert reports == ["flaky ended (exit code 3); restart in 0.5 s. The end of its log:\nthe disk is full"]
    supervisor.check(100.4)
    assert supervisor.running() == {"flaky": False}
    supervisor.check(100.5)
    assert reports[-1] == "flaky was restarted"


def test_the_pause_doubles_with_each_failure_in_a_row(supervisor: Supervisor, reports: list[str], tmp_path: Path):
    supervisor.start(child("flaky", "exit 1", tmp_path))
    now_s = 100.0
    for _ in range(4):
        until(lambda: supervisor.children[0].process.poll() is not None)  # type: ignore[union-attr]
        supervisor.check(now_s)
        now_s += 60
        supervisor.check(now_s)
    assert [line.split("restart in ")[1].split(" s.")[0] for line in reports if "ended" in line] == ["0.5", "1", "2", "4"]


def test_processes_are_stopped_in_reverse_order(supervisor: Supervisor, tmp_path: Path):
    trap = "trap 'echo {} >> {}; exit 0' TERM; while :; do sleep 0.05; done"
    order = tmp_path / "order"
    for name in ("first", "second"):
        supervisor.start(child(name, trap.format(name, order), tmp_path))
    time.sleep(0.3)
    supervisor.stop()
    assert order.read_text().split() == ["second", "first"]


def test_a_process_that_ignores_sigterm_is_killed_with_its_children(
    supervisor: Supervisor, reports: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ringfence.ops.supervisor.TERM_S", 0.5)
    supervisor.start(child("deaf", "trap '' TERM; sleep 300 & echo $! > " + str(tmp_path / "pid") + "; wait", tmp_path))
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    grandchild = int((tmp_path / "pid").read_text())
    supervisor.stop()
    assert reports == ["deaf did not end within 0.5 s of SIGTERM: killed"]
    until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


def test_no_process_outlives_a_killed_supervisor(tmp_path: Path):
    program = f"""
import os, time
from pathlib import Path
from ringfence.ops.supervisor import Child, Supervisor
supervisor = Supervisor(print)
supervisor.start(Child("sleeper", ["sleep", "300"], Path({str(tmp_path / "log")!r}), dict(os.environ)))
time.sleep(0.3)
print(supervisor.children[0].process.pid, flush=True)
time.sleep(300)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    orphan = psutil.Process(int(parent.stdout.readline()))
    assert orphan.name() == "sleep"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)


def test_a_signal_stops_a_part_at_any_moment():
    program = (
        "import os, signal; from ringfence.parts import until_signalled; stop = until_signalled()\n"
        "with stop._cond: os.kill(os.getpid(), signal.SIGTERM)  # as in the middle of `stop.wait`\n"
        "print(stop.wait(10))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout == "True\n", done.stderr
