"""Where one partition's records wait while the journal cannot take them: a file log of the same kind, of the collector's own.

What a crash leaves behind: entries that were handed on, but whose position was not yet written, are handed on again. Never fewer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from core.message import Message
from journal import Entry, Full, JournalError, Limits
from journal.durable import replace_file
from journal.files import FileJournal, FileReader, FileWriter

_log = logging.getLogger(__name__)

TOPIC = "spool"
LIMITS = Limits(segment_bytes=16 << 20, retention_bytes=None, retention_ms=None)
"""Nothing goes by age or size: only what was handed on is removed, a segment at a time."""


class Spool:
    """Of one partition. Of one thread."""

    def __init__(self, home: Path, partition: int, partitions: int) -> None:
        self._journal = FileJournal(home, LIMITS)
        self._journal.create(TOPIC, partitions)
        self._partition = partition
        self._position_file = home / f"position-{partition}"
        self._writer: FileWriter | None = self._journal.writer(TOPIC, partition)
        self._reader: FileReader | None = None
        self._position = self._journal.first_offset(TOPIC, partition)
        if (stored := self._stored_position()) <= self._writer.end:  # else the log was made anew since: all of it waits
            self._position = max(self._position, stored)

    @property
    def waiting(self) -> int:
        """Entries not handed on yet."""
        end = self._writer.end if self._writer else self._journal.end_offset(TOPIC, self._partition)
        return end - self._position

    @property
    def size_bytes(self) -> int:
        """Bytes on the disk."""
        return self._writer.size_bytes if self._writer else 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Keeps entries, synced when it returns."""
        if self._writer is None:
            self._writer = self._journal.writer(TOPIC, self._partition)
        try:
            self._writer.append(entries)
        except Full:
            raise
        except JournalError:
            self._writer.close()  # after such a fault the files must be read anew
            self._writer = None
            raise

    def peek(self, max_messages: int, max_bytes: int) -> list[Message]:
        """The oldest entries that wait; the same again until they are `done`."""
        if self._reader is not None and self._reader.offset != self._position:
            self._reader.close()
            self._reader = None
        if self._reader is None:
            self._reader = self._journal.reader(TOPIC, self._partition, self._position)
        return self._reader.read(max_messages, max_bytes)

    def done(self, position: int) -> None:
        """Everything below `position` is safe elsewhere: forget it."""
        self._position = position
        try:
            if self._writer is not None:
                self._writer.trim(position)
            replace_file(self._position_file, str(position).encode())
        except (JournalError, OSError) as error:
            # A full disk. What was handed on must not be handed on again and again: we go on from memory, and after a crash
            # some of it is handed on once more.
            _log.error("partition %d: the spool cannot store its position: %s", self._partition, error)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    def _stored_position(self) -> int:
        try:
            return int(self._position_file.read_bytes())
        except FileNotFoundError:
            return 0
