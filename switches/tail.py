"""The records of a switch's spool that were not delivered yet: files `rec-*.jl`, in the order of the numbers in their names.

Each worker of the switch writes a newline, a record and a newline in one piece, so that a torn line (its disk was full) never runs into the
next record. A worker may still append to a file after others have begun the next one: no file is ever finished, only read to its end.
Records that the spool did not take are read from the switch's log (`switches.signed_log`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from journal.durable import replace_file
from switches.intake import lines_of
from switches.signed_log import SwitchLog, signed_records

PATTERN = "rec-*.jl"
POSITION = "position.json"
_NUMBER = re.compile(r"(\d+)")


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Up to where a file was delivered. The inode tells a new file from an old one of the same name."""

    inode: int
    offset: int


Positions = dict[str, Position]
"""By the file's name."""


def load_positions(path: Path) -> Positions:
    """The stored positions; none where there is no file. One that cannot be read is a `ValueError`: a person must remove it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Positions)
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{path} is not a position file ({error}); without it all records in the spool are delivered again"
        ) from error


def store_positions(path: Path, positions: Positions) -> None:
    replace_file(path, msgspec.json.encode(positions))


def delivered(home: Path, log: Path) -> bool:
    """Whether the shipper has read the log to its end: then the log may be cut.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> _ = (home / "k.log").write_text("a line\\n")
    >>> store_positions(home / POSITION, {"k.log": Position((home / "k.log").stat().st_ino, 3)})
    >>> delivered(home, home / "k.log")
    False
    """
    try:
        return _is_delivered(load_positions(home / POSITION).get(log.name), log.stat())
    except (FileNotFoundError, ValueError):
        return False


def files_of(home: Path) -> list[Path]:
    """The record files, by the numbers in their names.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> for name in ("rec-10.jl", "rec-9.jl", "other"): (home / name).touch()
    >>> [path.name for path in files_of(home)]
    ['rec-9.jl', 'rec-10.jl']
    """
    return sorted(home.glob(PATTERN), key=lambda path: ([int(n) for n in _NUMBER.findall(path.name)], path.name))


class Batch(NamedTuple):
    """Lines to post, and the positions that are right once they are accepted."""

    lines: list[bytes]
    positions: Positions
    complete: bool  # there was nothing more when it was read
    forged: int = 0  # lines of the log that claim to be records and are not signed by the switch
    from_log: int = 0  # of the lines: those that the spool did not take


def read_batch(
    home: Path, positions: Positions, *, max_bytes: int, torn_after_s: float, now_s: float, log: SwitchLog | None = None
) -> Batch:
    """The next lines of the spool and then of the log, at most `max_bytes` of them (or one line, cut there).

    The end of a file without a newline is left for the next time, unless nothing was written to the file for `torn_after_s`: then no worker
    will complete the line, and it is posted as it is.
    """
    lines: list[bytes] = []
    after: Positions = {}
    complete = True
    left, forged, from_log = max_bytes, 0, 0
    for path, about, offset in _unread(home, positions, log.path if log else None):
        try:
            data = _read(path, offset, min(left, about.st_size - offset))
        except FileNotFoundError:
            continue  # removed since the listing
        used = data.rfind(b"\n") + 1
        if used < len(data):
            at_end = offset + len(data) >= about.st_size
            too_long = not used and not lines and len(data) == max_bytes  # one line alone is more than a batch: posted in pieces
            if too_long or (at_end and now_s - about.st_mtime > torn_after_s):
                used = len(data)
        if log and path == log.path:
            found, forged = signed_records(data[:used], log.secret)
            from_log = len(found)
        else:
            found = lines_of(data[:used], max_bytes)
        lines += found
        left -= len(data)
        offset += used
        complete = complete and offset >= about.st_size
        after[path.name] = Position(about.st_ino, offset)
    return Batch(lines, after, complete, forged, from_log)


def backlog_bytes(home: Path, log: Path | None = None) -> int:
    """Bytes of the spool and of the log that are not delivered yet. The log holds other lines too.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> _ = (home / "rec-1.jl").write_text("a line\\n")
    >>> backlog_bytes(home)
    7
    """
    return sum(about.st_size - offset for _, about, offset in _unread(home, load_positions(home / POSITION), log))


def sync_waiting(home: Path, positions: Positions) -> None:
    """Makes durable what waits in the spool. The switch's workers do not: until it is delivered, only the page cache has it."""
    for path, about, offset in _unread(home, positions):
        if offset < about.st_size:
            try:
                fd = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue  # removed since the listing
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)


def remove_spent(home: Path, positions: Positions, keep_s: float, now_s: float, keep_bytes: int | None = None) -> list[str]:
    """Removes files that are delivered to the end and were not written to for `keep_s`, or that are the oldest of more than `keep_bytes` of
    such files; never the newest, and nothing that is not delivered. Returns their names."""
    spent: list[tuple[Path, os.stat_result]] = []
    for path in files_of(home)[:-1]:
        about = path.lstat()  # a link was put there by a person, and stays
        if _is_delivered(positions.get(path.name), about):
            spent.append((path, about))
    left = sum(about.st_size for _, about in spent)
    removed: list[str] = []
    for path, about in sorted(spent, key=lambda one: one[1].st_mtime):
        if now_s - about.st_mtime > keep_s or (keep_bytes is not None and left > keep_bytes):
            path.unlink()
            removed.append(path.name)
            left -= about.st_size
    return removed


def _unread(home: Path, positions: Positions, log: Path | None = None) -> Iterator[tuple[Path, os.stat_result, int]]:
    """The record files and then the log: path, state, and the offset to read from. A new file of an old name, or one that was cut, is read
    from its start: twice rather than never."""
    for path in [*files_of(home), *([log] if log else [])]:
        try:
            about = path.stat()
        except FileNotFoundError:
            continue  # removed since the listing, or not created yet
        position = positions.get(path.name)
        same = position is not None and position.inode == about.st_ino and position.offset <= about.st_size
        yield path, about, position.offset if position and same else 0


def _is_delivered(position: Position | None, about: os.stat_result) -> bool:
    return position is not None and position.inode == about.st_ino and position.offset >= about.st_size


def _read(path: Path, offset: int, size: int) -> bytes:
    if size <= 0:
        return b""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)
