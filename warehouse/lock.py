"""The lock of an embedded warehouse: a file of our own, because the engine's refusal does not name the holder.

The lock is the kernel's (flock), so it ends with the process, however that ends; the content of the file is only for people.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from core import locks
from warehouse.errors import WarehouseHeld

NAME = "ringfence.lock"

_mutex = threading.Lock()
_held: dict[Path, tuple[int, int]] = {}  # directory -> (descriptor, number of clients in this process)


def hold(directory: Path) -> None:
    """Locks the directory for this process, or counts one more client of it. Call `release` as often."""
    directory = directory.resolve()
    with _mutex:
        if directory in _held:
            fd, clients = _held[directory]
            _held[directory] = (fd, clients + 1)
            return
        directory.mkdir(parents=True, exist_ok=True)
        try:
            fd = locks.take(directory / NAME, mode=0o644)
        except locks.LockTaken as taken:
            raise WarehouseHeld(
                f"the warehouse in {directory} is open in {str(taken) or 'a process that has not yet written its name'}. One process at a "
                "time may open it: read through that process's server (http://...), or stop it first"
            ) from None
        command = " ".join(Path(part).name if i == 0 else part for i, part in enumerate(sys.orig_argv))[:200]
        try:
            locks.write_holder(fd, f"process {os.getpid()} ({command}), since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")
        except BaseException:
            os.close(fd)
            raise
        _held[directory] = (fd, 1)


def release(directory: Path) -> None:
    """Counts one client less; the last one unlocks the directory."""
    directory = directory.resolve()
    with _mutex:
        fd, clients = _held.get(directory, (-1, 0))
        if clients > 1:
            _held[directory] = (fd, clients - 1)
        elif clients == 1:
            del _held[directory]
            with contextlib.suppress(OSError):  # the content is for people; closing the file unlocks it
                os.ftruncate(fd, 0)
            os.close(fd)


def is_held(directory: Path) -> bool:
    """Whether this process has the directory open."""
    with _mutex:
        return directory.resolve() in _held
