"""A heartbeat: a part's main loop touches a file as it goes round. A process that is alive and silent hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from core.message import Message
from journal import Journal, Reader

EVERY_S = 1.0
HANGS_S = 60.0
"""A part without a heartbeat for so long hangs."""
Value = TypeVar("Value")


def path_of(run_dir: Path, name: str) -> Path:
    """The file that a part of this name touches.

    >>> path_of(Path("/run"), "judge")
    PosixPath('/run/judge.beat')
    """
    return run_dir / f"{name}.beat"


class Beat:
    """Called as often as one likes; touches the file once a second at most."""

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
            pass  # no room for a file: the supervisor reports that there is no heartbeat

    def silent_s(self) -> float:
        """Since the last one, give or take a second."""
        return time.monotonic() - self._at_s

    def around(self, function: Callable[..., Value]) -> Callable[..., Value]:
        """The function, with a beat at each call: for a loop that calls what it was handed."""

        def beating(*args: Any) -> Value:
            self()
            return function(*args)

        return beating

    def at(self, journal: Journal) -> Journal:
        """The journal, with a beat at each look for something new."""
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
