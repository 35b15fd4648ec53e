"""Lock files: how a process reserves a directory, a spool, a state or a partition.

The lock is the kernel's (flock): it ends with the process, however the process ends. The file stays, with the text that its last holder wrote
into it for people.

>>> import tempfile
>>> path = Path(tempfile.mkdtemp()) / "lock"
>>> with exclusive(path):
...     take(path)  # doctest: +IGNORE_EXCEPTION_DETAIL
Traceback (most recent call last):
core.locks.LockTaken: process 4711
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class LockTaken(Exception):
    """Another process holds the lock; the text is what it wrote into the file, or ""."""


def take(path: Path, *, mode: int = 0o640) -> int:
    """The descriptor that holds the lock; closing it releases the lock. Raises `LockTaken`, or `OSError` where the file cannot be opened."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 500, 0).decode("utf-8", "replace").strip()
        os.close(fd)
        raise LockTaken(holder) from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def write_holder(fd: int, text: str) -> None:
    """Write the holder of the lock, for people. Raises `OSError` on a full disk; the lock is held regardless."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, text.encode(), 0)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock for a block. Raises as `take`."""
    fd = take(path)
    try:
        with suppress(OSError):
            write_holder(fd, f"process {os.getpid()}")
        yield
    finally:
        os.close(fd)
