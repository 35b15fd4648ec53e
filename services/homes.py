"""A home belongs to its owner alone: no other user of the machine may list or read it."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.locks import LockTaken, exclusive
from services.errors import InUse, ServiceError

MARKER = ".ringfence"
"""A file in every home, with the number of its format: `up --fresh` removes no directory without it."""
FORM = b"2\n"
"""Release 0.1 left the file empty."""
LOCK = ".ringfence.lock"
RESTORING = ".restoring"
"""In a home while a backup is restored into it: the home is incomplete, and every other command refuses it."""
OURS = (MARKER, "state", "books.db", "journal", "warehouse", "spool", "run", LOCK, RESTORING)
"""Entries of a home. A directory that has other entries and none of these is not a home: its mode is not changed."""
OTHERS = 0o077


class NotAHome(ServiceError):
    """The directory cannot be a home; nothing was changed."""


def restrict_umask() -> None:
    """Files of this process and its children are readable by their owner only."""
    os.umask(OTHERS)


def make_private(root: Path) -> None:
    """Makes the home, or removes the rights of others to it. Only the directory itself: for its content see `restrict_contents`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     made = Path(place) / "new"
    ...     made.mkdir(mode=0o755)
    ...     make_private(made)
    ...     oct(made.stat().st_mode & 0o777)
    '0o700'
    """
    try:
        link = root.lstat()
    except OSError:  # absent; any other fault appears when it is made or opened
        link = None
    if link is not None and stat.S_ISLNK(link.st_mode) and link.st_uid not in (os.geteuid(), 0):
        raise NotAHome(
            f"{root} cannot be a home: it is a link that {_name(link.st_uid)} made, and may turn elsewhere at any time"
        )
    try:
        if link is None:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise NotAHome(f"{root} cannot be a home: {error.strerror}. Name another --home") from None
    try:
        _remove_rights(fd, root)
    finally:
        os.close(fd)
    try:
        form = (root / MARKER).read_bytes()
    except FileNotFoundError:
        return
    if form != FORM:
        raise NotAHome(
            f"{root} is a home of another release of Ringfence (0.1, where its {MARKER} is empty), which this one does not read: "
            "move it away, or start that release for it"
        )


def _remove_rights(fd: int, root: Path) -> None:
    there = os.fstat(fd)
    if there.st_uid != os.geteuid():
        me = _name(os.geteuid())
        raise NotAHome(
            f"{root} cannot be a home: it belongs to {_name(there.st_uid)}, and this runs as {me}. Run it as {_name(there.st_uid)}, "
            f"or give it away: chown -R {me} {root}"
        )
    if not there.st_mode & OTHERS:
        return
    inside = {name for name in os.listdir(fd) if name != "lost+found"}
    if inside and not inside & set(OURS):
        raise NotAHome(
            f"{root} cannot be a home: others may look into it (its mode is {stat.S_IMODE(there.st_mode):o}), and it holds "
            f"other files ({min(inside)}). Name a directory of its own, or make it private: chmod 700 {root}"
        )
    try:
        os.fchmod(fd, 0o700)
    except OSError as error:
        raise NotAHome(f"{root} cannot be made private: chmod 700: {error.strerror}") from None
    if os.fstat(fd).st_mode & OTHERS:
        raise NotAHome(f"{root} cannot be made private: this file system keeps no modes. Name a --home on another one")


def restrict_contents(root: Path) -> int:
    """Removes the rights of others to the content of a home, which an earlier release or another umask left. Returns the number of files
    and directories. Links are not followed.
    """
    changed = 0
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            path = os.path.join(folder, name)
            try:
                mode = os.lstat(path).st_mode
                if mode & OTHERS and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    os.chmod(path, stat.S_IMODE(mode) & ~OTHERS)
                    changed += 1
            except FileNotFoundError:
                continue  # a part removed it meanwhile
    return changed


def mark(root: Path) -> None:
    """Writes the marker: this is a home in the format of this release."""
    (root / MARKER).write_bytes(FORM)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """One `up`, or one restore, per home. Raises `InUse`."""
    try:
        with exclusive(root / LOCK):
            yield
    except LockTaken:
        raise InUse(f"Ringfence is running in {root} already.") from None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
