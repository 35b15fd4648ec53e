"""`ringfence health`, as used by a container's health check."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from ringfence.cli import app
from ringfence.ops import ports
from ringfence.ops.telemetry.server import Answers, Server

WHY = {"alive": "", "ready": ""}


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """Only a judge serves here, with the reasons in `WHY`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first = port - ports.number("judge")
    monkeypatch.setenv("RINGFENCE_METRICS_PORT", str(first))
    monkeypatch.setenv("RINGFENCE_HOME", str(tmp_path))
    WHY.update(alive="", ready="")
    server = Server("127.0.0.1", port, Answers(CollectorRegistry(), lambda: WHY["alive"], lambda: WHY["ready"]))
    yield first
    server.close()


def health(*argv: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["health", *argv])
    return found.exit_code, found.output.strip()


def test_without_a_name_all_running_parts_are_checked(first: int):
    code, output = health()
    assert code == 0 and "judge: healthy" in output.splitlines()
    WHY["alive"] = "its main loop has made no progress for 61 s"
    code, output = health()
    assert code == 1 and "its main loop has made no progress for 61 s" in output


def test_alive_is_weaker_than_ready(first: int):
    WHY["ready"] = "the warehouse is away"
    assert health("judge") == (0, "judge: healthy")
    assert health("judge", "--ready") == (1, "judge: the warehouse is away")


def test_a_part_that_does_not_answer_is_unhealthy(first: int):
    code, output = health("judge", "store")
    assert code == 1 and "judge: healthy" in output and "store: it is not running: nobody listens at http://127.0.0.1:" in output


def test_no_running_part_is_unhealthy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("RINGFENCE_METRICS_PORT", "1")
    monkeypatch.setenv("RINGFENCE_HOME", str(tmp_path))
    code, output = health()
    assert code == 1 and "RINGFENCE_METRICS_PORT" in output
    assert health("nobody")[0] == 2
