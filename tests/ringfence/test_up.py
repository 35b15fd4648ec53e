"""`ringfence up`: an attack is detected and blocked, the counts add up, and no process is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from running_up import Up

FATES = ("rated", "unrated", "events", "rejected", "duplicates", "conflicts")
KEYS = ["received", *FATES, "alerts", "blocks", "lag", "unposted", "versions"]


def gone(processes: list[psutil.Process], within_s: float = 15.0) -> list[str]:
    """The command lines of processes that are still running."""
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return [" ".join(process.cmdline()) for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_an_attack_is_reported_and_blocked_and_no_record_or_process_is_left(tmp_path: Path):
    up = Up(tmp_path / "home", "--simulate", "--seed", "1", "--attack-after-s", "5", "--calls-per-s", "5")
    try:
        victim = up.until_output(r"switch sim1 refuses t1/account:([^/\s]+)")
        assert " ALERT " in up.output() and " ORDER " in up.output()

        # The block may come before five calls have ended.
        up.until(lambda: len(json.loads(up.ask("calls", "--last", "5", "--json"))) == 5, 60)
        calls = json.loads(up.ask("calls", "--last", "5", "--json"))
        assert all({"number", "duration_s", "sell", "buy", "disposition"} <= call.keys() for call in calls)
        assert "disposition" in up.ask("calls", "--last", "3")

        up.ask("unblock", "--account", victim, "--why", "a test")
        up.until_output(f"lets t1/account:{re.escape(victim)}", 30)

        children = up.children()
        assert len(children) == 11  # store, watch, judge, router, poster, notify, dispatcher, collector, shipper, simulator, pages
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(60) == 0, up.output()
        assert gone(children) == []
    finally:
        up.process.kill()
    first = json.loads(up.ask("status", "--json"))
    assert list(first) == KEYS
    assert first["received"] == sum(first[fate] for fate in FATES) > 100
    assert first["alerts"] >= 1 and first["versions"]["config"] == 1


@pytest.mark.slow
def test_a_killed_up_leaves_no_process_and_the_next_one_continues(tmp_path: Path):
    up = Up(tmp_path / "home", "--simulate", "--attack-after-s", "100000")
    try:
        up.until_output(r"rated [1-9]")
        children = up.children()
        up.process.send_signal(signal.SIGKILL)
        up.process.wait()
        assert gone(children) == []
    finally:
        up.process.kill()
    again = Up(tmp_path / "home", "--simulate", "--attack-after-s", "100000")
    try:
        judge = "ringfence flow judge"
        again.until_output(r"rated [1-9]")
        (dying,) = [process for process in again.children() if judge in " ".join(process.cmdline())]
        dying.kill()
        again.until_output("judge was restarted", 20)
        again.until(lambda: json.loads(again.ask("status", "--json"))["lag"] < 50, 40)
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(60) == 0, again.output()
    finally:
        again.process.kill()
    status = json.loads(again.ask("status", "--json"))
    assert status["received"] == sum(status[fate] for fate in FATES)


def test_a_home_that_is_not_ours_is_never_cleared(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("three years of work")
    command = [sys.executable, "-m", "ringfence", "up", "--fresh", "--home", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and "is not a home of Ringfence" in result.stderr
    assert (tmp_path / "thesis.txt").read_text() == "three years of work"


def test_a_port_in_use_is_reported_before_anything_starts(tmp_path: Path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = os.environ | {"RINGFENCE_COLLECTOR_PORT": str(taken.getsockname()[1])}
        command = [sys.executable, "-m", "ringfence", "up", "--home", str(tmp_path / "home")]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert result.returncode == 1 and "RINGFENCE_COLLECTOR_PORT" in result.stderr
