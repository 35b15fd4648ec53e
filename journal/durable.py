"""Small files that hold either the old or the new content, also after a power cut; durable directories."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Makes the names in a directory (created, renamed, removed) durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_tree(root: Path) -> None:
    """Makes every file and directory below `root` durable, and `root` itself."""
    for path in [*root.rglob("*"), root]:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def replace_file(path: Path, content: bytes) -> None:
    """Puts `content` at `path`, whole or not at all, and durable when it returns.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> replace_file(home / "position", b"12"); replace_file(home / "position", b"13"); (home / "position").read_bytes()
    b'13'
    """
    fresh = path.with_name(f".{path.name}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    except OSError:
        fresh.unlink(missing_ok=True)  # half a file would hold on to a disk that is full
        raise
    finally:
        os.close(fd)
    os.replace(fresh, path)
    sync_directory(path.parent)
