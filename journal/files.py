"""The journal in files of one directory. Nothing that was acknowledged is lost.

    DIR/TOPIC/topic.json                   {"format": 2, "partitions": 4}
    DIR/TOPIC/3/00000000000000000000.log   a segment: frames (journal/frames.py); its name is its first offset; append-only
    DIR/TOPIC/3/synced                     8 bytes, mapped into memory: the end offset, written after each fsync; readers stop there
    DIR/TOPIC/3/lock                       held (flock) by the one writer, with its process id for people
    DIR/TOPIC/3/readers/judge              the reader's next offset (journal/marks.py): retention waits for it
    DIR/TOPIC/3/damaged/                   what a repair moved there, and losses.json, its record of what is lost (journal/repair.py)

Any other file whose name ends in .log is refused with its path: its content would be unknown. Other files are ignored.

There is no index: to find an offset, each reader scans the headers of one segment once (24 ms for a full segment).
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import mmap
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core import locks
from core.clock import wall_clock_ms
from core.message import Message
from journal import frames, marks, retention
from journal.durable import replace_file, sync_directory
from journal.limits import MOST_PARTITIONS, Limits, check_grows, check_same, check_topic
from journal.protocol import (
    REPAIR,
    Entry,
    Full,
    Gap,
    JournalError,
    Locked,
    NoTopic,
    OffsetTrimmed,
    TooLarge,
    Torn,
    ahead,
    trimmed,
)

FORMAT = 2
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CHUNK = 1 << 20
_CHECKING = "checking"
_LOCK_ATTEMPTS = 50  # of 20 ms
_SHOWN = 5  # stretches of lost offsets that one error lists
_LEAP_MS = 3_600_000  # a wall clock that is further from the time of the partition does not date a segment
_SEGMENT = re.compile(r"[0-9]{20}\.log")

_log = logging.getLogger(__name__)


def monotonic_ms() -> int:
    """The monotonic clock: no step of the wall clock moves it."""
    return time.monotonic_ns() // 1_000_000


class FileJournal:
    """A journal in a directory. It holds nothing open: any number of processes may have one on the same directory."""

    def __init__(
        self,
        home: Path,
        limits: Limits = Limits(),
        now_ms: Callable[[], int] = wall_clock_ms,
        passed_ms: Callable[[], int] = monotonic_ms,
    ) -> None:
        self._home = home
        self._limits = limits
        self._clocks = (now_ms, passed_ms)

    def create(self, topic: str, partitions: int) -> None:
        """Makes a topic, all of it or nothing. In an existing one, the torn tail of each partition without a writer is cut."""
        check_topic(topic, partitions)
        target = self._home / topic
        if not (target / "topic.json").exists():
            try:
                self._make(target, partitions)
            except OSError as error:
                raise _explained(error, f"cannot make {topic} in {self._home}") from error
        check_same(topic, self.partitions(topic), partitions)
        for number in range(partitions):
            try:
                FileWriter(self._part(topic, number), self._limits, *self._clocks, checking=True).close()
            except Locked:
                continue  # its writer has done it

    def _make(self, target: Path, partitions: int) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        sync_directory(self._home.parent)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=self._home))
        try:
            for number in range(partitions):
                _make_part(draft / str(number))
            replace_file(draft / "topic.json", _about(partitions))
            sync_directory(draft)
            os.rename(draft, target)
        except OSError as error:
            shutil.rmtree(draft)
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            return  # another process made it meanwhile
        sync_directory(self._home)

    def grow(self, topic: str, partitions: int) -> None:
        """Adds partitions to an existing topic. A crash before the last step leaves directories that nothing reads; the next call makes
        them anew."""
        there = self.partitions(topic)
        check_grows(topic, there, partitions)
        if partitions == there:
            return
        home = self._home / topic
        try:
            for number in range(there, partitions):
                if (home / str(number)).exists():
                    shutil.rmtree(home / str(number))
                _make_part(home / str(number))
            sync_directory(home)
            replace_file(home / "topic.json", _about(partitions))
        except OSError as error:
            raise _explained(error, f"cannot give {topic} in {self._home} {partitions} partitions") from error

    def partitions(self, topic: str) -> int:
        path = self._home / topic / "topic.json"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise NoTopic(f"there is no topic {topic} in {self._home}") from None
        except OSError as error:
            raise _explained(error, f"cannot read topic {topic} in {self._home}") from error
        return _partitions(path, content)

    def writer(self, topic: str, partition: int) -> FileWriter:
        return FileWriter(self._part(topic, partition), self._limits, *self._clocks)

    def reader(self, topic: str, partition: int, offset: int) -> FileReader:
        return FileReader(self._part(topic, partition), offset)

    def first_offset(self, topic: str, partition: int) -> int:
        return _first_offset(self._part(topic, partition))

    def end_offset(self, topic: str, partition: int) -> int:
        with _Synced(self._part(topic, partition)) as synced:
            return synced.end

    def mark_read(self, topic: str, partition: int, reader: str, offset: int) -> None:
        marks.set_mark(self._part(topic, partition), reader, offset)

    def readers(self, topic: str, partition: int) -> dict[str, int]:
        return marks.marks(self._part(topic, partition))

    def _part(self, topic: str, partition: int) -> Path:
        if not 0 <= partition < (count := self.partitions(topic)):
            raise JournalError(f"{topic} has the partitions 0 to {count - 1}, not {partition}")
        part = self._home / topic / str(partition)
        if not part.is_dir():
            raise JournalError(f"{topic}/{partition}: {no_directory(part)}")
        return part


def no_directory(part: Path) -> str:
    """The error text for a partition whose directory is gone, or is something else."""
    return (
        f"{part}, the directory of this partition, {'is something else now' if part.exists() else 'is gone'}, and all its records with it. "
        "Stop all parts and put the directory back from a backup (`ringfence restore`). `ringfence journal repair` cannot make it anew: "
        "the offsets that were used are recorded nowhere else, and none may be used twice. Without a backup, begin in a new --home"
    )


class FileWriter:
    """The only writer of a partition. For one thread."""

    def __init__(
        self, part: Path, limits: Limits, now_ms: Callable[[], int], passed_ms: Callable[[], int], *, checking: bool = False
    ) -> None:
        self._part = part
        self._name = f"{part.parent.name}/{part.name}"
        self._limits = limits
        self._now_ms = now_ms
        self._passed_ms = passed_ms
        self._broken = ""
        self._fd = -1
        self._lock = _lock(part, self._name, checking=checking)
        try:
            self._synced = _Synced(part, writable=True)
            try:
                self._recover()
                if not checking:
                    self._retain()
            except BaseException:
                self._synced.close()
                raise
        except OSError as error:
            os.close(self._lock)
            raise _explained(error, f"cannot open {self._name} for writing") from error
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def end(self) -> int:
        """The offset of the next entry."""
        return self._end

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments."""
        return sum(self._sizes.values()) + self._size

    def append(self, entries: Sequence[Entry]) -> int:
        """See `journal.protocol.Writer`. After `Full` the same writer may try again; after any other fault it is opened anew."""
        if self._broken:
            raise JournalError(f"{self._name}: the writer stopped at an earlier fault and must be opened anew: {self._broken}")
        if not entries:
            return self._end
        self._check(entries)
        data = frames.encode(entries, self._end)
        if len(data) > self._limits.segment_bytes:
            raise TooLarge(f"{self._name}: {len(data)} bytes in one append, a segment holds {self._limits.segment_bytes}")
        self._make_room(len(data))
        if self._size and (self._size + len(data) > self._limits.segment_bytes or self._is_old()):
            self._roll()
        self._write(data)
        first = self._end
        self._end += len(entries)
        self._size += len(data)
        self._synced.end = self._end  # only now may readers see it
        return first

    def trim(self, before: int) -> None:
        """Removes every segment that lies wholly below an offset: for a log that is only needed until it is consumed."""
        if before >= self._end and self._size:
            self._roll()
        bases = [*self._sizes, self._base]
        for base, following in itertools.pairwise(bases):
            if following > before:
                break
            self._remove(base)

    def close(self) -> None:
        if self._lock < 0:
            return
        if self._fd >= 0:
            try:
                self._date()
            except OSError as error:
                _log.warning("%s: the newest segment keeps the date of the wall clock: %s", self._name, error)
            os.close(self._fd)
        self._synced.close()
        os.close(self._lock)
        self._lock = self._fd = -1
        self._broken = self._broken or "it was closed"

    def _check(self, entries: Sequence[Entry]) -> None:
        limit = self._limits.record_bytes
        for number, entry in enumerate(entries):
            if len(entry.key) + len(entry.value) > limit:
                size = len(entry.key) + len(entry.value)
                raise TooLarge(f"{self._name}: entry {number} of {len(entries)} has {size} bytes, the limit is {limit}")

    def _recover(self) -> None:
        """Finds the end. An incomplete tail was never acknowledged, and is cut; damage below the synced end is `Torn`."""
        bases = _bases(self._part)
        self._check_chain(bases)
        there = retention.segments_of(self._part, bases, bases[-1] if bases else 0)  # another process may apply retention meanwhile
        self._sizes = {segment.base: segment.size_bytes for segment in there if segment.base != bases[-1]}
        self._base = bases[-1] if bases else 0
        path = _segment(self._part, self._base)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            if not bases:
                sync_directory(self._part)
            data = path.read_bytes()
            sound = frames.extent(data, self._base)
            if sound.end < self._synced.end:
                raise Torn(f"{self._name}: {path} is damaged {damage(data, self._base, self._synced.end)}. Restore the file, or: {REPAIR}")
            if sound.size < len(data):
                _log.warning("%s: cut a torn tail of %d bytes (%s)", self._name, len(data) - sound.size, sound.fault)
                os.ftruncate(self._fd, sound.size)
            os.fsync(self._fd)  # whole appends of a killed writer may never have been synced
        except BaseException:
            os.close(self._fd)
            self._fd = -1
            raise
        self._size, self._end = sound.size, sound.end
        written_ms = retention.in_order([segment.written_ms for segment in there if segment.size_bytes])
        opened_ms = retention.opened_ms(written_ms, self._now_ms(), self._limits.roll_ms)
        # The newest segment was begun when the one before it ended; the first one has nothing before it.
        self._began_ms = self._now_ms() - (max(0, opened_ms - there[-2].written_ms) if len(there) > 1 else 0)
        self._synced.end = self._end
        self._ahead_ms = opened_ms - self._passed_ms()
        self._leapt = bool(written_ms) and written_ms[-1] > opened_ms + _LEAP_MS

    def _check_chain(self, bases: list[int]) -> None:
        """Checks that the newest segment begins where the one before it ends: a stray file must not set the next offset."""
        if len(bases) < 2:
            return
        before, newest = bases[-2:]
        try:
            data = _segment(self._part, before).read_bytes()
        except FileNotFoundError:
            return  # retention removed it meanwhile: the newest one is the first now
        if frames.position_of(data, before, newest) == len(data):
            return
        if (sound := frames.extent(data, before)).fault:
            return  # its readers report the damage
        raise JournalError(
            f"{self._name}: {_segment(self._part, newest)} begins at offset {newest}, and {_segment(self._part, before).name} before it ends at "
            f"offset {sound.end}. If the newer file does not belong there, move it out of the journal; else: {REPAIR}"
        )

    def _is_old(self) -> bool:
        return abs(self._now_ms() - self._began_ms) > self._limits.roll_ms  # a clock that was set back ends a segment, too

    def _partition_ms(self) -> int:
        """The time by which this partition ages (`journal.retention`)."""
        return self._ahead_ms + self._passed_ms()

    def _date(self) -> None:
        """Sets the modification time of the current segment to the time of the partition if the wall clock leapt."""
        if self._leapt:
            os.utime(self._fd, ns=(self._partition_ms() * 1_000_000,) * 2)
        self._leapt = False

    def _make_room(self, size: int) -> None:
        """Applies retention to a partition that is over its bound by a segment; `Full` if readers still need the rest."""
        limits = self._limits
        if limits.retention_bytes is None or self.size_bytes + size <= limits.retention_bytes + limits.segment_bytes:
            return
        self._retain()
        if self.size_bytes + size <= limits.retention_bytes + limits.segment_bytes:
            return
        topic = self._part.parent.name
        behind = {reader: offset for reader, offset in marks.marks(self._part).items() if offset < self._base}
        if topic not in limits.refuse_when_full or not behind:
            return
        reader, offset = min(behind.items(), key=lambda one: one[1])
        raise Full(
            f"{self._name} is full: it holds {self.size_bytes:,} bytes, its bound is {limits.retention_bytes:,}, and {reader} has read only up "
            f"to offset {offset:,} of {self._end:,}. Nothing of this append was stored. Start {reader}, or raise RINGFENCE_JOURNAL_PARTITION_GB"
        )

    def _roll(self) -> None:
        """Begins a new segment, then applies retention. A crash in between leaves an empty segment, or an old one too many."""
        path = _segment(self._part, self._end)
        try:
            self._date()
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
            try:
                sync_directory(self._part)
            except OSError:
                os.close(fd)
                path.unlink()  # else readers would open it for entries that still go into the segment before
                raise
        except OSError as error:
            raise _explained(error, f"{self._name}: cannot begin {path.name}") from error
        os.close(self._fd)
        self._sizes[self._base] = self._size
        self._fd, self._base, self._size, self._began_ms = fd, self._end, 0, self._now_ms()
        self._retain()

    def _retain(self) -> None:
        """Removes what `retention` allows. Another process may do the same meanwhile."""
        bases = _bases(self._part)
        found = retention.segments_of(self._part, bases, self._end)
        now_ms = self._partition_ms()
        read_to = retention.read_to(self._part)
        going = retention.removable(found, self._limits, now_ms, read_to)
        if read_to is not None and (unread := [segment for segment in going if segment.end > read_to]):
            _log.error(
                "%s: offsets %d to %d are removed unread, because the partition is over its bound and RINGFENCE_JOURNAL_UNREAD allows it",
                self._name, max(read_to, unread[0].base), unread[-1].end - 1,
            )  # fmt: skip
        retention.remove(self._part, going)
        there = {segment.base for segment in found} - {segment.base for segment in going}
        self._sizes = {base: size for base, size in self._sizes.items() if base in there}

    def _remove(self, base: int) -> None:
        _segment(self._part, base).unlink(missing_ok=True)
        del self._sizes[base]

    def _write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            self._leapt = self._leapt or abs(self._now_ms() - self._partition_ms()) > _LEAP_MS
            os.fdatasync(self._fd)
        except OSError as error:
            self._undo(error)
            raise _explained(error, f"{self._name}: cannot append {len(data)} bytes") from error

    def _undo(self, error: OSError) -> None:
        """Cuts off what a failed append left. If that fails too, or the fault is not lack of room, the writer stops for good:
        after a failed fsync the content of the disk is unknown until it is read again."""
        if error.errno not in _NO_ROOM:
            self._broken = str(error)
        try:
            os.ftruncate(self._fd, self._size)
            os.fsync(self._fd)
        except OSError as second:
            self._broken = f"{error}; and cutting the rest off: {second}"


class FileReader:
    """A position in a partition. Reads synced bytes with `pread`, and checks every frame.

    It buffers nothing: bytes beyond the synced end may still be cut and written anew.
    """

    def __init__(self, part: Path, offset: int) -> None:
        self._part = part
        self._name = f"{part.parent.name}/{part.name}"
        self._partition = int(part.name)
        self._fd = -1
        self._base = -1
        self._at = 0
        self.offset = offset
        self.gaps: list[Gap] = []
        self._synced = _Synced(part)
        try:
            self._check_not_ahead(self._synced.end)
            if offset < (first := _first_offset(part)):
                raise self._trimmed(first)
        except BaseException:
            self._synced.close()
            raise

    def read(self, max_messages: int = 4096, max_bytes: int = 8 << 20) -> list[Message]:
        end = self._synced.end
        if self.offset >= end:
            self._check_not_ahead(end)
            return []
        out: list[Message] = []
        while self.offset < end and len(out) < max_messages and max_bytes > 0:
            try:
                got = self._step(end, max_messages - len(out), max_bytes, first=not out)
            except JournalError:
                if not out:
                    raise
                break  # return the sound messages; the next call meets the fault again
            if got is None:
                break
            out += got
            max_bytes -= sum(len(m.key) + len(m.value) for m in got)
        return out

    def _step(self, end: int, max_messages: int, max_bytes: int, *, first: bool) -> list[Message] | None:
        """Some messages, or none if only lost offsets were skipped; None if the next one is over `max_bytes` and is not the `first`."""
        chunk = _CHUNK
        while True:
            if self._fd < 0:
                self._seek()
            data = os.pread(self._fd, chunk, self._at)
            if not data and self.offset > self._base:
                self._leave()  # the end of this segment; our offset is the name of the next
                continue
            got = frames.decode(data, self.offset, end, max_messages, max_bytes, self._partition)
            if got.messages or got.lost:
                if not first and not got.lost and len(got.messages) == 1:
                    (only,) = got.messages
                    if len(only.key) + len(only.value) > max_bytes:
                        return None
                self._step_over(got.lost)
                self.offset = got.next_offset
                self._at += got.used
                return got.messages
            if got.fault:
                raise self._torn(self._at, got.fault)
            if got.need <= chunk:
                raise self._torn(self._at + len(data), "the file ends")
            chunk = got.need

    def _step_over(self, lost: list[tuple[int, str]]) -> None:
        """Adds offsets whose entries are lost to `gaps`, one gap per stretch."""
        for offset, why in lost:
            if self.gaps and self.gaps[-1].last == offset - 1 and self.gaps[-1].why == why:
                self.gaps[-1] = self.gaps[-1]._replace(last=offset)
                continue
            _log.warning("%s: offset %d and what follows is lost and is skipped: %s", self._name, offset, why)
            self.gaps.append(Gap(offset, offset, why))

    def close(self) -> None:
        self._leave()
        self._synced.close()

    def _check_not_ahead(self, end: int) -> None:
        if self.offset > end:
            raise ahead(self._name, end, self.offset)

    def _seek(self) -> None:
        """Opens the segment that holds our offset. Retention may remove it between listing and opening: then it lists again."""
        for _ in range(100):
            below = [base for base in _bases(self._part) if base <= self.offset]
            if not below:
                raise self._trimmed(_first_offset(self._part))
            try:
                fd = os.open(_segment(self._part, below[-1]), os.O_RDONLY)
            except FileNotFoundError:
                continue
            self._fd, self._base, self._at = fd, below[-1], 0
            if self.offset > self._base:
                at = self._position(fd)
                size = os.fstat(fd).st_size
                if at is None or at >= size:  # were our offset the first of the next segment, that one would have been opened
                    fault = self._torn(size, "the file ends")
                    self._leave()  # the next read opens it again
                    raise fault
                self._at = at
            return
        raise JournalError(f"{self._name}: retention removes its oldest segments faster than they can be opened")

    def _position(self, fd: int) -> int | None:
        if not os.fstat(fd).st_size:
            return None
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            return frames.position_of(view, self._base, self.offset)

    def _leave(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _trimmed(self, first: int) -> OffsetTrimmed:
        return trimmed(self._name, first, self.offset)

    def _torn(self, at: int, fault: str) -> Torn:
        path = _segment(self._part, self._base)
        return Torn(
            f"{self._name}: offset {self.offset} was acknowledged and cannot be read: {path} at byte {at}: {fault}. {REPAIR}"
        )


def _synced_anew(part: Path) -> str:
    if any(part.glob("*.log")):
        return "`ringfence journal repair` makes it anew from the segments"
    return "There are no segments either: `ringfence journal check` shows what to do"


class _Synced:
    """The end of what readers may read: one aligned 64-bit cell, which is stored and loaded atomically.

    It is never ahead of the disk. After a power cut it may be behind; then the next writer (or `create`) corrects it.
    """

    def __init__(self, part: Path, *, writable: bool = False) -> None:
        try:
            fd = os.open(part / "synced", os.O_RDWR if writable else os.O_RDONLY)
            try:
                self._map = mmap.mmap(fd, 8, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
            finally:
                os.close(fd)
        except (OSError, ValueError) as error:
            raise JournalError(
                f"cannot read {part / 'synced'}, which holds the synced end of {part.parent.name}/{part.name}: {error}. "
                + _synced_anew(part)
            ) from error
        self._view = memoryview(self._map)
        self._cell = self._view.cast("q")

    @property
    def end(self) -> int:
        return self._cell[0]

    @end.setter
    def end(self, offset: int) -> None:
        self._cell[0] = offset

    def close(self) -> None:
        self._cell.release()
        self._view.release()
        self._map.close()

    def __enter__(self) -> _Synced:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def damage(data: bytes, base: int, end: int) -> str:
    """Where a segment that should reach `end` is damaged first, and all offsets that are lost in it.

    >>> whole = frames.encode([Entry(b"", b"a", 1)] * 4, 7)
    >>> damage(whole[:40] + b"!" + whole[41:-1] + b"!", 7, 11)
    'at byte 29 (a checksum is wrong): offsets 8 and 10 were acknowledged and cannot be read'
    """
    damaged = [one for one in frames.stretches(data, base, end) if not one.sound]
    lost = [one for one in damaged if one.end > one.first]
    if not lost:
        return f"at byte {damaged[0].at if damaged else len(data)}: its last append is not whole"
    shown = [f"{one.first} to {one.end - 1}" if one.end - one.first > 1 else f"{one.first}" for one in lost]
    if len(shown) > _SHOWN:
        shown = [*shown[:_SHOWN], f"{len(shown) - _SHOWN} more stretches"]
    offsets = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    count = sum(one.end - one.first for one in lost)
    return (
        f"at byte {damaged[0].at} ({damaged[0].fault}): {'offset' if count == 1 else 'offsets'} {offsets} "
        f"{'was' if count == 1 else 'were'} acknowledged and cannot be read"
    )


def _about(partitions: int) -> bytes:
    return json.dumps({"format": FORMAT, "partitions": partitions}).encode()


def _partitions(path: Path, content: bytes) -> int:
    """The number of partitions in a topic.json.

    >>> _partitions(Path("/j/calls/topic.json"), b'{"format": 2, "partitions": "4"}')
    Traceback (most recent call last):
    ...
    journal.protocol.JournalError: /j/calls/topic.json does not hold the number of partitions: put it back from a backup
    """
    try:
        about = json.loads(content)
    except (ValueError, RecursionError):
        about = None
    found = about if isinstance(about, dict) else {}
    if "format" in found and found["format"] != FORMAT:
        if found["format"] == 1:
            raise JournalError(
                f"{path.parent.parent} is a journal of Ringfence 0.1, which this release does not read: move it away, or start Ringfence 0.1 for it"
            )
        raise JournalError(f"{path.parent} has format {str(found['format'])[:40]}, this program reads {FORMAT}")
    count = found.get("partitions")
    if "format" not in found or type(count) is not int or not 1 <= count <= MOST_PARTITIONS:
        there = sum(one.is_dir() and one.name.isdecimal() for one in path.parent.iterdir()) if path.parent.is_dir() else 0
        raise JournalError(
            f"{path} does not hold the number of partitions: put it back from a backup"
            + (f", or write {_about(there).decode()} into it: there are {there} directories of partitions" if there else "")
        )
    return count


def _make_part(part: Path) -> None:
    part.mkdir(0o700)
    replace_file(part / "synced", bytes(8))


def _segment(part: Path, base: int) -> Path:
    return part / f"{base:020d}.log"


def _bases(part: Path) -> list[int]:
    """The first offset of each segment, in order."""
    try:
        with os.scandir(part) as entries:
            files = [
                (entry.name, entry.is_file())
                for entry in entries
                if entry.name.endswith(".log") and not entry.name.startswith(".")
            ]
    except OSError as error:
        raise _explained(error, f"cannot list {part}") from error
    found = []
    for name, is_file in files:
        if not is_file or not _SEGMENT.fullmatch(name):
            raise JournalError(
                f"{part / name} is no segment of this partition (the name of a segment is its first offset in 20 digits): "
                "move it out of the journal"
            )
        found.append(int(name[:-4]))
    return sorted(found)


def _first_offset(part: Path) -> int:
    bases = _bases(part)
    return bases[0] if bases else 0


def _lock(part: Path, name: str, *, checking: bool) -> int:
    """Locks the partition. Waits for `create`, which holds the lock only while it checks the tail; never for another writer."""
    for attempt in itertools.count():
        try:
            fd = locks.take(part / "lock")
            break
        except locks.LockTaken as taken:
            holder = str(taken)
            # The first attempts are for a holder that has not written its name yet.
            if checking or attempt >= (_LOCK_ATTEMPTS if holder in ("", _CHECKING) else 2):
                raise Locked(f"{name} has a writer already: process {holder or 'unknown'}") from None
            time.sleep(0.02)
        except OSError as error:
            raise _explained(error, f"cannot lock {name}") from error
    try:
        locks.write_holder(fd, _CHECKING if checking else str(os.getpid()))
    except OSError as error:
        _log.warning("%s: the lock file does not hold its holder's process id: %s", name, error)  # a full disk; the lock itself holds
    return fd


def _explained(error: OSError, what: str) -> JournalError:
    """The fault as an error of the journal: `Full` if the disk has no room."""
    if error.errno in _NO_ROOM:
        return Full(f"{what}: no room ({error.strerror}). Nothing of it was stored; free some space and it goes on")
    return JournalError(f"{what}: {error}")
