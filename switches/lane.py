"""One partition's way into the journal: straight while the journal takes it, else over the spool, always in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from journal import Entry, Full, JournalError, TooLarge, Writer
from switches.spool import Spool

_log = logging.getLogger(__name__)

CATCH_UP_MESSAGES = 16_384
CATCH_UP_BYTES = 8 << 20


class SpoolFull(Exception):
    """The journal is away and the spool is at its bound: what is posted now cannot be kept here."""


class Lane:
    """Of one partition. Of one thread.

    `open_writer` opens the journal's writer; `room` says whether the spool may grow by so many bytes; `now_ms` is a clock.
    """

    def __init__(
        self,
        name: str,
        open_writer: Callable[[], Writer],
        spool: Spool,
        room: Callable[[int], bool],
        now_ms: Callable[[], int],
        retry_ms: int = 1000,
        longest_ms: int = 10_000,
    ) -> None:
        self._name = name
        self._open_writer = open_writer
        self._spool = spool
        self._room = room
        self._now_ms = now_ms
        self._retry_ms, self._longest_ms = retry_ms, longest_ms
        self._failures = 0
        self._writer: Writer | None = None
        self._next_try_ms = 0
        self.away_because = ""

    @property
    def waiting(self) -> int:
        """Entries in the spool."""
        return self._spool.waiting

    @property
    def spool_bytes(self) -> int:
        return self._spool.size_bytes

    def append(self, entries: Sequence[Entry]) -> None:
        """Keeps entries behind all that came before; synced when it returns, in the journal or in the spool."""
        if not self._spool.waiting and self._hand_on(entries):
            return
        size = sum(len(entry.key) + len(entry.value) + 28 for entry in entries)
        if not self._room(size):
            raise SpoolFull(f"{self._name}: the journal is away ({self.away_because}) and the spool is at its bound")
        try:
            self._spool.append(entries)
        except JournalError as error:
            raise SpoolFull(
                f"{self._name}: the journal is away ({self.away_because}) and the spool cannot take it: {error}"
            ) from error

    def catch_up(self) -> int:
        """Hands the oldest of the spool on; how many."""
        if not self._spool.waiting or not self._due():
            return 0
        messages = self._spool.peek(CATCH_UP_MESSAGES, CATCH_UP_BYTES)
        if not self._hand_on([Entry(m.key, m.value, m.learned_ms) for m in messages]):
            return 0
        self._spool.done(messages[-1].offset + 1)
        if not self._spool.waiting:
            _log.warning("%s: the journal has caught up", self._name)
        return len(messages)

    def close(self) -> None:
        self._drop_writer()
        self._spool.close()

    def _due(self) -> bool:
        return not self._next_try_ms or self._now_ms() >= self._next_try_ms

    def _hand_on(self, entries: Sequence[Entry]) -> bool:
        if not self._due():
            return False
        try:
            if self._writer is None:
                self._writer = self._open_writer()
            _append(self._writer, entries)
        except TooLarge:
            raise  # one entry: whoever posted it is told
        except (JournalError, OSError) as error:
            if not self.away_because:
                _log.error("%s: the journal is away, records are spooled: %s", self._name, error)
            self.away_because = str(error)
            # Longer each time: whoever posts waits while a journal is tried that does not answer.
            self._next_try_ms = self._now_ms() + min(self._retry_ms << min(self._failures, 16), self._longest_ms)
            self._failures += 1
            if not isinstance(error, Full):  # then the same writer may try again
                self._drop_writer()
            return False
        self._next_try_ms = self._failures = 0
        if self.away_because:
            _log.warning("%s: the journal is back, %d records wait in the spool", self._name, self._spool.waiting)
            self.away_because = ""
        return True

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _append(writer: Writer, entries: Sequence[Entry]) -> None:
    """In one append, or where that is more than the journal takes at once, in two halves: who posted has no answer before both are there."""
    try:
        writer.append(entries)
    except TooLarge:
        if len(entries) < 2:
            raise
        half = len(entries) // 2
        _append(writer, entries[:half])
        _append(writer, entries[half:])
