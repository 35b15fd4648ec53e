"""Copies topics while they are written to: each partition up to its synced end at the time it is copied.

Segments are append-only, so what lies below that end no longer changes. Every frame is checked on the way: otherwise a copy of a
damaged segment would be found on the day it is needed. The copy has no writer's lock and no marks of readers, and its files are new:
retention, which goes by the age of files, starts again after a restore, and readers set their marks when they start.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from journal import frames
from journal.durable import replace_file, sync_directory
from journal.files import FileJournal, _bases, _segment, damage
from journal.protocol import REPAIR, JournalError, Torn


def directory_of(dsn: str) -> Path | None:
    """The directory of a file journal, or None for another kind.

    >>> directory_of("files:///srv/ringfence/journal"), directory_of("kafka://broker:9092")
    (PosixPath('/srv/ringfence/journal'), None)
    """
    parts = urlsplit(dsn)
    return Path(unquote(parts.path)) if parts.scheme == "files" and not parts.netloc else None


def topics_in(home: Path) -> list[str]:
    """The topics that a directory holds."""
    return sorted(path.parent.name for path in home.glob("*/topic.json") if not path.parent.name.startswith("."))


def copy_topic(home: Path, topic: str, target: Path) -> dict[int, int]:
    """Copies a topic below `target`; partition -> the end up to which it was copied."""
    journal = FileJournal(home)
    (target / topic).mkdir(parents=True)
    ends = {}
    for partition in range(journal.partitions(topic)):
        ends[partition] = end = journal.end_offset(topic, partition)
        _copy_partition(home / topic / str(partition), target / topic / str(partition), end)
    replace_file(target / topic / "topic.json", (home / topic / "topic.json").read_bytes())
    return ends


def _copy_partition(part: Path, target: Path, end: int) -> None:
    target.mkdir()
    copied: list[Path] = []
    for base in _bases(part):
        if base >= end and (copied or base > end):
            break  # begun since; an empty segment without any before it still holds the next offset
        try:
            data = _segment(part, base).read_bytes()
        except FileNotFoundError:  # retention removed it meanwhile; the segments before it no longer join the rest
            for path in copied:
                path.unlink()
            copied.clear()
            continue
        path = _segment(target, base)
        path.write_bytes(_sound(data, base, end, _segment(part, base)))
        copied.append(path)
    if (part / "damaged").is_dir():  # what repairs moved there, and their record of what is lost
        shutil.copytree(part / "damaged", target / "damaged")
    replace_file(target / "synced", end.to_bytes(8, sys.byteorder))
    sync_directory(target)


def _sound(data: bytes, base: int, end: int, path: Path) -> memoryview:
    """The bytes of a segment below `end`, all frames whole."""
    found = frames.extent(data, base)
    if found.end < end and found.fault:
        raise Torn(
            f"{path} is damaged {damage(data, base, end)}, so nothing of this partition is copied. {REPAIR}"
        )
    size = frames.position_of(data, base, min(end, found.end))
    if size is None:
        raise JournalError(f"{path}: offset {end} was synced and is not there")
    return memoryview(data)[:size]
