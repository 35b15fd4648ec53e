"""Heartbeats: a part's main loop touches a file. A process that is alive but does not touch it hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from core.message import Message
from journal import Journal, Reader

EVERY_S = 1.0
HANGS_S = 60.0
"""A part without a heartbeat for this long hangs. It is reported, and a person restarts it, who may want to inspect it first."""
Value = TypeVar("Value")


def path_of(run_dir: Path, name: str) -> Path:
    """The heartbeat file of a part.

    >>> path_of(Path("/run"), "judge")
    PosixPath('/run/judge.beat')
    """
    return run_dir / f"{name}.beat"


class Beat:
    """Call it as often as you like; it touches the file at most once per second."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._at_s = 0.0
        self()

    def __call__(self) -> None:
        now_s = time.monotonic()
        if now_s - self._at_s < EVERY_S:
            return
        self._at_s = now_s
        try:
            self._path.touch()
        except OSError:
            pass  # a full disk: the supervisor reports the missing heartbeat

    def silent_s(self) -> float:
        """Seconds since the last heartbeat, to a second."""
        return time.monotonic() - self._at_s

    def around(self, function: Callable[..., Value]) -> Callable[..., Value]:
        """The function, with a heartbeat at each call."""

        def beating(*args: Any) -> Value:
            self()
            return function(*args)

        return beating

    def at(self, journal: Journal) -> Journal:
        """The journal, with a heartbeat at each read."""
        return _Watched(journal, self)


class _Watched:
    def __init__(self, journal: Journal, beat: Beat) -> None:
        self._journal, self._beat = journal, beat

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        return _Reader(self._journal.reader(topic, partition, offset), self._beat)


class _Reader:
    def __init__(self, reader: Reader, beat: Beat) -> None:
        self._reader, self._beat = reader, beat

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def read(self, max_messages: int = 4096, max_bytes: int = 8 << 20) -> list[Message]:
        self._beat()
        return self._reader.read(max_messages, max_bytes)
