"""Readers that skip nothing in silence: what a flow could not read is written down beside its state, and the flow goes on.

    STATE/judge.missed.json      [{"reader": "judge", "topic": "calls", "partition": 3, "first": 12, "last": 40, "why": "...", ...}]

Three things make a gap: the flow has no state and the journal begins behind offset 0; the journal begins behind the offset in the state;
a person has let a damaged place go (`ringfence journal repair`). `ringfence status` and `services.completeness` show what stands here.

The position of a reader is reported to the journal as well (`Journal.mark_read`), whose retention waits for it.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import msgspec

from core.clock import wall_clock_ms
from core.message import Message
from journal import Gap, Journal, JournalError, OffsetTrimmed, Reader
from journal.durable import replace_file

SUFFIX = ".missed.json"
TRIMMED = "removed from the journal before they were read"
NO_STATE = "no state was there, and the journal begins behind them: what they did is not in the state"

_log = logging.getLogger(__name__)
_writing = threading.Lock()


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets `first` to `last` that a reader has never read, and why. `at_ms`: when it found out."""

    reader: str
    topic: str
    partition: int
    first: int
    last: int
    why: str
    at_ms: int

    def line(self) -> str:
        """As text.

        >>> Missed(reader="judge", topic="calls", partition=3, first=12, last=40, why=TRIMMED, at_ms=0).line()
        'judge has not read offsets 12 to 40 of calls/3 (29): removed from the journal before they were read'
        """
        count = self.last - self.first + 1
        return f"{self.reader} has not read offsets {self.first} to {self.last} of {self.topic}/{self.partition} ({count:,}): {self.why}"


class MissedError(RuntimeError):
    """The file of what was missed cannot be read or written."""


def file_of(state: Path) -> Path:
    """The file beside a flow's state.

    >>> file_of(Path("/srv/state/judge-1-of-2.state")), file_of(Path("/srv/state/store"))
    (PosixPath('/srv/state/judge-1-of-2.missed.json'), PosixPath('/srv/state/store.missed.json'))
    """
    return state.with_name(state.name.removesuffix(".state") + SUFFIX)


def load(file: Path) -> list[Missed]:
    """What a flow has missed, the oldest first."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Missed])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise MissedError(f"{file} cannot be read ({error}): it names what was never read. Move it away to go on") from error


def every(state_dir: Path) -> list[Missed]:
    """What the flows of an installation have missed."""
    return [missed for file in sorted(state_dir.glob(f"*{SUFFIX}")) for missed in load(file)]


def note(file: Path, missed: Missed) -> None:
    """Writes a gap down, once; one that has grown since replaces what it was."""
    with _writing:
        known = load(file)
        if any(_covers(one, missed) for one in known):
            return
        _log.error("%s", missed.line())
        known = [one for one in known if not _covers(missed, one)]
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, msgspec.json.format(msgspec.json.encode([*known, missed]), indent=1))
        except OSError as error:
            raise MissedError(f"{file} cannot be written ({error}); nothing is passed over before it is: free the disk and start again") from error


def _covers(one: Missed, other: Missed) -> bool:
    same = (one.topic, one.partition, one.why) == (other.topic, other.partition, other.why)
    return same and one.first <= other.first and other.last <= one.last


def open_reader(journal: Journal, name: str, topic: str, partition: int, offset: int | None, file: Path) -> Reader:
    """A reader at `offset`, or where the journal begins if that is behind it or if there is no offset. What is missed is noted first."""
    while True:
        first = journal.first_offset(topic, partition)
        at = first if offset is None else offset
        if at < first or (offset is None and first):
            why = NO_STATE if offset is None else TRIMMED
            gap = Missed(
                reader=name, topic=topic, partition=partition, first=offset or 0, last=first - 1, why=why, at_ms=wall_clock_ms()
            )
            note(file, gap)
            at = first
        try:
            reader = journal.reader(topic, partition, at)
        except OffsetTrimmed:
            continue  # retention went on between the two looks
        if journal.readers(topic, partition).get(name, at) >= at:
            mark(journal, name, topic, partition, at)
        return Noting(reader, name, topic, partition, file)


def mark(journal: Journal, name: str, topic: str, partition: int, offset: int) -> None:
    """Reports to retention how far a reader has come. If that cannot be written, the old mark stays, and retention deletes less."""
    try:
        journal.mark_read(topic, partition, name, offset)
    except JournalError as error:
        _log.warning("the position of %s could not be reported to retention, which deletes less than it could: %s", name, error)


class Noting:
    """A reader whose gaps are recorded before a message after them is returned."""

    def __init__(self, reader: Reader, name: str, topic: str, partition: int, file: Path) -> None:
        self._reader, self._name, self._topic, self._partition, self._file = reader, name, topic, partition, file
        self._noted = 0

    @property
    def offset(self) -> int:
        return self._reader.offset

    @offset.setter
    def offset(self, offset: int) -> None:
        self._reader.offset = offset

    @property
    def gaps(self) -> list[Gap]:
        return self._reader.gaps

    @gaps.setter
    def gaps(self, gaps: list[Gap]) -> None:
        self._reader.gaps = gaps

    def read(self, max_messages: int = 4096, max_bytes: int = 8 << 20) -> list[Message]:
        messages = self._reader.read(max_messages, max_bytes)
        gaps = self._reader.gaps
        if len(gaps) > self._noted:
            for gap in gaps[self._noted :]:
                note(
                    self._file,
                    Missed(
                        reader=self._name,
                        topic=self._topic,
                        partition=self._partition,
                        first=gap.first,
                        last=gap.last,
                        why=gap.why,
                        at_ms=wall_clock_ms(),
                    ),
                )
            self._noted = len(gaps)
        return messages

    def close(self) -> None:
        self._reader.close()
