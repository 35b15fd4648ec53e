"""A home is its owner's alone: nobody else of this machine lists it or reads in it."""

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
"""A file in every home of ours, with the number of its form: `up --fresh` removes nothing that has it not."""
FORM = b"2\n"
"""Release 0.1 left the file empty."""
LOCK = ".ringfence.lock"
RESTORING = ".restoring"
"""In a home while a backup is put back into it: what is there is not whole, and every other command refuses it."""
OURS = (MARKER, "state", "books.db", "journal", "warehouse", "spool", "run", LOCK, RESTORING)
"""What shows that a directory is a home: of one that has none of it and holds other things, the mode is not ours to change."""
OTHERS = 0o077


class NotAHome(ServiceError):
    """Why a directory cannot be a home; nothing was changed."""


def restrict_umask() -> None:
    """What this process and its children make is their owner's alone."""
    os.umask(OTHERS)


def make_private(root: Path) -> None:
    """Makes the home, or takes others' rights to it away. Only the directory itself: for what is in it see `restrict_contents`.

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
    except OSError:  # not there; whatever else it is, making or opening it says
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
        _take_away(fd, root)
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


def _take_away(fd: int, root: Path) -> None:
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
            f"{root} cannot be a home: others may look into it (its mode is {stat.S_IMODE(there.st_mode):o}), and it holds what is not "
            f"ours ({min(inside)}). Name a directory of its own, or make it private: chmod 700 {root}"
        )
    try:
        os.fchmod(fd, 0o700)
    except OSError as error:
        raise NotAHome(f"{root} cannot be made private: chmod 700: {error.strerror}") from None
    if os.fstat(fd).st_mode & OTHERS:
        raise NotAHome(f"{root} cannot be made private: this file system keeps no modes. Name a --home on another one")


def restrict_contents(root: Path) -> int:
    """Takes others' rights to what an earlier release, or another umask, has left in a home. How many files and directories.

    Links are not followed: what they lead to is not in the home.
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
                continue  # a part has removed it meanwhile
    return changed


def mark(root: Path) -> None:
    """Writes the marker: this is a home of ours, in the form of this release."""
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
