"""Where the records of one partition wait while the journal cannot take them: a file log of the same kind, beside the collector.

What a crash leaves: entries that are in the journal while their position was not yet written are appended again. None is lost.
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
"""Nothing is removed by age or size: only segments whose entries are all in the journal."""


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
        if (stored := self._stored_position()) <= self._writer.end:  # else the log was created again since: all of it waits
            self._position = max(self._position, stored)

    @property
    def waiting(self) -> int:
        """Entries that are not in the journal yet."""
        end = self._writer.end if self._writer else self._journal.end_offset(TOPIC, self._partition)
        return end - self._position

    @property
    def size_bytes(self) -> int:
        """Bytes on the disk."""
        return self._writer.size_bytes if self._writer else 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Stores entries; they are synced when it returns."""
        if self._writer is None:
            self._writer = self._journal.writer(TOPIC, self._partition)
        try:
            self._writer.append(entries)
        except Full:
            raise
        except JournalError:
            self._writer.close()  # after such a fault the files must be read again from their start
            self._writer = None
            raise

    def peek(self, max_messages: int, max_bytes: int) -> list[Message]:
        """The oldest entries that wait: the same ones until they are `done`."""
        if self._reader is not None and self._reader.offset != self._position:
            self._reader.close()
            self._reader = None
        if self._reader is None:
            self._reader = self._journal.reader(TOPIC, self._partition, self._position)
        return self._reader.read(max_messages, max_bytes)

    def done(self, position: int) -> None:
        """Entries below `position` are in the journal: they are removed here."""
        self._position = position
        try:
            if self._writer is not None:
                self._writer.trim(position)
            replace_file(self._position_file, str(position).encode())
        except (JournalError, OSError) as error:
            # A full disk. The position in memory counts, so that the same entries are not appended again and again; after a crash
            # some of them are appended once more.
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
