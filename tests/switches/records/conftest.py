"""Collectors for the tests of this folder; makes `running_collector` importable here."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from running_collector import TOKEN, CollectorProcess, Running, find_credential
from until import until

from journal import open_journal
from switches.collector import serve
from switches.post import connect


@pytest.fixture
def start_collector(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """`start_collector(...)` with any of `serve`'s arguments; waits until it is ready unless `wait=False`."""
    running: list[Running] = []

    def start(*, wait: bool = True, journal_home: Path = tmp_path / "journal", **arguments: Any) -> Running:
        journal = arguments.setdefault("journal", open_journal(f"files://{journal_home}"))
        stop, port, listens = threading.Event(), [0], threading.Event()

        def listening(number: int) -> None:
            port[0] = number
            listens.set()

        settings = {
            "spool": tmp_path / "spool",
            "find_credential": find_credential,
            "config_version": lambda: 1,
            "listening": listening,
            "stop": stop,
            **arguments,
        }
        thread = threading.Thread(target=serve, kwargs=settings, daemon=True)
        thread.start()
        assert listens.wait(20)
        url = f"http://127.0.0.1:{port[0]}"
        client = connect(url, TOKEN)

        def end() -> None:
            stop.set()
            client.close()
            thread.join(20)
            assert not thread.is_alive()

        one = Running(url, journal, client, end)
        running.append(one)
        if wait:
            until(lambda: one.health()["ready"])
        return one

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def collector_process(tmp_path: Path) -> Iterator[CollectorProcess]:
    process = CollectorProcess(tmp_path)
    yield process
    process.kill()
