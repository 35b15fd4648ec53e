"""A running collector, in this process or in one that can be killed, and readers of its journal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from books.credentials import Credential
from core.message import Message
from core.record import TICK_KEY
from journal import Journal

ROOT = Path(__file__).parents[3]
TOKEN = "a-token-of-the-switch-k1"


def find_credential(token: str) -> Credential | None:
    return Credential(("t1",), "k1", ("127.0.0.1",)) if token == TOKEN else None


def read_all(journal: Journal, partition: int) -> list[Message]:
    reader = journal.reader("calls", partition, journal.first_offset("calls", partition))
    out: list[Message] = []
    while got := reader.read():
        out += got
    reader.close()
    return out


@dataclass
class Running:
    """A collector in this process."""

    url: str
    journal: Journal
    client: httpx2.Client
    stop: Callable[[], None]

    def records(self) -> list[bytes]:
        """All entries of the journal without ticks, partition by partition."""
        return [m.value for partition in range(4) for m in read_all(self.journal, partition) if m.key != TICK_KEY]

    def ticks(self, partition: int = 0) -> list[bytes]:
        return [m.value for m in read_all(self.journal, partition) if m.key == TICK_KEY]

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get("/v1/health").json()
        return answer


class CollectorProcess:
    """A collector in a process of its own, on the same port each time."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("collector_process.py")), str(self.home), str(self.port)],
            stdout=subprocess.PIPE,
            stderr=(self.home / "collector.log").open("ab"),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said, (self.home / "collector.log").read_text()
        self.port = int(said)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
