"""How entries of one partition get into the journal: directly while it takes them, else through the spool, always in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from core.backoff import backoff
from journal import Entry, Full, JournalError, TooLarge, Writer
from journal.frames import HEADER
from switches.spool import Spool

_log = logging.getLogger(__name__)

CATCH_UP_MESSAGES = 16_384
CATCH_UP_BYTES = 8 << 20
RETRY_MS, LONGEST_RETRY_MS = 1000, 10_000
"""A journal that is away is tried again so often: later each time, because whoever posts waits for a journal that does not answer."""


class SpoolFull(Exception):
    """The journal is away and the spool is at its limit: what is posted now cannot be stored."""


@dataclass(eq=False)
class Lane:
    """Of one partition. Of one thread.

    `open_writer` opens the journal's writer; `room` says whether the spool may grow by so many bytes; `now_ms` is a clock.
    """

    name: str
    open_writer: Callable[[], Writer]
    spool: Spool
    room: Callable[[int], bool]
    now_ms: Callable[[], int]

    def __post_init__(self) -> None:
        self._failures = 0
        self._writer: Writer | None = None
        self._next_try_ms = 0
        self.away_because = ""

    @property
    def waiting(self) -> int:
        """Entries in the spool."""
        return self.spool.waiting

    @property
    def spool_bytes(self) -> int:
        return self.spool.size_bytes

    def append(self, entries: Sequence[Entry]) -> None:
        """Stores entries after all earlier ones; when it returns they are synced, in the journal or in the spool."""
        if not self.spool.waiting and self._write(entries):
            return
        if not self.room(size_of(entries)):
            raise SpoolFull(f"{self.name}: the journal is away ({self.away_because}) and the spool is at its limit")
        try:
            self.spool.append(entries)
        except JournalError as error:
            raise SpoolFull(
                f"{self.name}: the journal is away ({self.away_because}) and the spool cannot take it: {error}"
            ) from error

    def catch_up(self) -> int:
        """Moves the oldest entries of the spool into the journal. Returns how many."""
        if not self.spool.waiting or not self._due():
            return 0
        messages = self.spool.peek(CATCH_UP_MESSAGES, CATCH_UP_BYTES)
        if not self._write([Entry(m.key, m.value, m.learned_ms) for m in messages]):
            return 0
        self.spool.done(messages[-1].offset + 1)
        if not self.spool.waiting:
            _log.warning("%s: the journal has caught up", self.name)
        return len(messages)

    def close(self) -> None:
        self._drop_writer()
        self.spool.close()

    def _due(self) -> bool:
        return not self._next_try_ms or self.now_ms() >= self._next_try_ms

    def _write(self, entries: Sequence[Entry]) -> bool:
        if not self._due():
            return False
        try:
            if self._writer is None:
                self._writer = self.open_writer()
            _append(self._writer, entries)
        except TooLarge:
            raise  # of one entry: its sender gets an answer
        except (JournalError, OSError) as error:
            if not self.away_because:
                _log.error("%s: the journal is away, records are spooled: %s", self.name, error)
            self.away_because = str(error)
            self._failures += 1
            self._next_try_ms = self.now_ms() + round(backoff(self._failures, RETRY_MS, LONGEST_RETRY_MS))
            if not isinstance(error, Full):  # after `Full` the same writer may try again
                self._drop_writer()
            return False
        self._next_try_ms = self._failures = 0
        if self.away_because:
            _log.warning("%s: the journal takes records again, %d wait in the spool", self.name, self.spool.waiting)
            self.away_because = ""
        return True

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _append(writer: Writer, entries: Sequence[Entry]) -> None:
    """In one append, or in two halves where that is more than the journal takes at once: nobody gets an answer before both are stored."""
    try:
        writer.append(entries)
    except TooLarge:
        if len(entries) < 2:
            raise
        half = len(entries) // 2
        _append(writer, entries[:half])
        _append(writer, entries[half:])


def size_of(entries: Iterable[Entry]) -> int:
    """Bytes of entries in the journal and in the spool. Of tiny entries the header is most of the size."""
    return sum(len(entry.key) + len(entry.value) + HEADER for entry in entries)
