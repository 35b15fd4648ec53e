"""Reads files that a person names: regular ones of a bounded size, whole. Anything else is an error of one line, without waiting."""

from __future__ import annotations

import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}
CONFIG_BYTES = 64 << 20
"""Limit of a configuration or a mapping: a hundred thousand accounts are 10 MB."""
DECK_BYTES = 256 << 20
"""Limit of a rate deck: a million prefixes are 30 MB."""


class NotAFile(OSError):
    """Not a regular file, or larger than the limit. `strerror` has the reason."""


def checked(path: Path, most: int | None = None) -> Path:
    """The path if it is a regular file; else raises `NotAFile`. A pipe or a device might block, or never end.

    >>> checked(Path("/dev/zero"))
    Traceback (most recent call last):
    ...
    services.files.NotAFile: [Errno 22] it is a device, not a file: '/dev/zero'
    """
    with open(_open(path, most)):
        return path


def read(path: Path, most: int) -> bytes:
    """The content of a regular file. More than `most` bytes are an error, also if they are added while it is read."""
    with open(_open(path, most), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise _too_large(path, most)
    return content


def _open(path: Path, most: int | None) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe without a writer must not block
    try:
        there = os.fstat(fd)
        if not stat.S_ISREG(there.st_mode):
            raise NotAFile(22, f"it is {KINDS.get(stat.S_IFMT(there.st_mode), 'something else')}, not a file", str(path))
        if most is not None and there.st_size > most:
            raise _too_large(path, most)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _too_large(path: Path, most: int) -> NotAFile:
    return NotAFile(27, f"it has more than {most >> 20} MB, the limit of such a file", str(path))
