"""What stands in a switch's spool and was not delivered yet: files `rec-*.jl` of several workers, in the order of their numbers.

A worker writes a newline, a record and a newline in one piece: a torn line (its disk was full) never runs into the next record.
A worker may still write into a file when others have begun the next one: no file is ever finished, only read up to its end.
What the spool did not take is read from the switch's log (`switches.signed_log`), and is part of what is complete.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from journal.durable import replace_file
from switches.signed_log import SwitchLog, signed_records

PATTERN = "rec-*.jl"
POSITION = "position.json"
_NUMBER = re.compile(r"(\d+)")


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far a file was delivered. The inode tells a new file of an old name."""

    inode: int
    offset: int


Places = dict[str, Place]


def load_places(path: Path) -> Places:
    """The stored places; none where there is no file. One that cannot be read is a `ValueError`: it is for a person to remove."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Places)
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{path} is not a position file ({error}); without it everything in the spool is delivered again"
        ) from error


def delivered(home: Path, log: Path) -> bool:
    """Whether the shipper has read all that the log says: it may be cut then.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> _ = (home / "k.log").write_text("a line\\n")
    >>> store_places(home / POSITION, {"k.log": Place((home / "k.log").stat().st_ino, 3)})
    >>> delivered(home, home / "k.log")
    False
    """
    try:
        about = log.stat()
        place = load_places(home / POSITION).get(log.name)
    except (FileNotFoundError, ValueError):
        return False
    return place is not None and place.inode == about.st_ino and place.offset >= about.st_size


def store_places(path: Path, places: Places) -> None:
    replace_file(path, msgspec.json.encode(places))


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
    """Lines to post, and the places that are right once they are accepted."""

    lines: list[bytes]
    places: Places
    complete: bool  # nothing else was there when it was read
    forged: int = 0  # lines of the log that claim to be records and are not the switch's
    from_log: int = 0  # of the lines: those that the spool did not take


def read_batch(
    home: Path, places: Places, *, max_bytes: int, torn_after_s: float, now_s: float, log: SwitchLog | None = None
) -> Batch:
    """The next lines of the spool, at most `max_bytes` of them (or one line, cut there), and behind them those of the log.

    The end of a file that has no newline yet is left for the next time, unless nothing was written to it for `torn_after_s`:
    then nobody will end it, and it is posted as it is.
    """
    lines: list[bytes] = []
    after: Places = {}
    complete = True
    left, forged, from_log = max_bytes, 0, 0
    for path in [*files_of(home), *([log.path] if log else [])]:
        try:
            about = path.stat()
            offset = _offset(places.get(path.name), about)
            data = _read(path, offset, min(left, about.st_size - offset))
        except FileNotFoundError:
            continue  # removed between the listing and the opening, or not yet there
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
            found = [line for line in data[:used].split(b"\n") if line and not line.isspace()]
        lines += found
        left -= len(data)
        offset += used
        complete = complete and offset >= about.st_size
        after[path.name] = Place(about.st_ino, offset)
    return Batch(lines, after, complete, forged, from_log)


def backlog_bytes(home: Path, log: Path | None = None) -> int:
    """What stands in the spool, and behind it in the log, and is not delivered yet. The log holds other lines too.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> _ = (home / "rec-1.jl").write_text("a line\\n")
    >>> backlog_bytes(home)
    7
    """
    places, size = load_places(home / POSITION), 0
    for path in [*files_of(home), *([log] if log else [])]:
        try:
            about = path.stat()
        except FileNotFoundError:
            continue  # removed since it was listed, or not yet there
        size += about.st_size - _offset(places.get(path.name), about)
    return size


def sync_waiting(home: Path, places: Places) -> None:
    """Makes durable what waits in the spool. The workers do not: until it is delivered, only the page cache has it."""
    for path in files_of(home):
        try:
            about = path.stat()
            if _offset(places.get(path.name), about) < about.st_size:
                fd = os.open(path, os.O_RDONLY)
                try:
                    os.fdatasync(fd)
                finally:
                    os.close(fd)
        except FileNotFoundError:
            continue


def remove_spent(home: Path, places: Places, keep_s: float, now_s: float, keep_bytes: int | None = None) -> list[str]:
    """Removes files that are delivered to the end and were not written to for `keep_s`, or that are the oldest of more than `keep_bytes` of
    such files; never the newest, and nothing that is not delivered. Their names."""
    spent: list[tuple[Path, os.stat_result]] = []
    for path in files_of(home)[:-1]:
        about = path.lstat()  # a link was put there by a person, and stays
        place = places.get(path.name)
        if place is not None and place.inode == about.st_ino and place.offset >= about.st_size:
            spent.append((path, about))
    left = sum(about.st_size for _, about in spent)
    gone: list[str] = []
    for path, about in sorted(spent, key=lambda one: one[1].st_mtime):
        if now_s - about.st_mtime > keep_s or (keep_bytes is not None and left > keep_bytes):
            path.unlink()
            gone.append(path.name)
            left -= about.st_size
    return gone


def _offset(known: Place | None, about: os.stat_result) -> int:
    """Where to go on. A new file of an old name, or one that was cut, is read from its start: twice rather than never."""
    return known.offset if known and known.inode == about.st_ino and known.offset <= about.st_size else 0


def _read(path: Path, offset: int, size: int) -> bytes:
    if size <= 0:
        return b""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)
