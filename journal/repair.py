"""Finds damage in a file journal, and repairs it by giving up what cannot be read.

`check` changes nothing and may run while all parts run. `repair` takes the writer's lock of each damaged partition, and in this order:

1. the damaged bytes go into `damaged/` beside the segments        a crash: they are copied again, under the same name
2. the loss is recorded in `damaged/losses.json`                   a crash: the next run finds it there
3. the segment is replaced whole (written beside, synced, renamed) a crash: it is the old one or the new one
4. `synced` is set                                                 a crash: the next writer sets it

In the new segment the lost offsets are frames with the flag `frames.LOST`, so every other offset stays the same; readers skip and report
them. Sound records behind the damage are kept. Whether a lost offset was a record or a tick is unknown.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from journal import frames, marks
from journal.copying import topics_in
from journal.durable import replace_file, sync_directory
from journal.files import FileJournal, _about, _bases, _explained, _lock, _segment, _Synced, no_directory
from journal.frames import Stretch
from journal.protocol import JournalError

ASIDE = "damaged"
LOSSES = "losses.json"
_ANY_OFFSET = (1 << 40) - 1
_NOTHING_LEFT = (
    "{part} holds neither a segment nor `synced`, so the offsets that were used are unknown, and a repair cannot know what is lost. Stop "
    "all parts and put the directory back from a backup (`ringfence restore`); without a backup, begin in a new --home"
)
_AT_ONCE = 1_000_000
"""Consecutive lost offsets that are plausible. If there are more, the file `synced` is wrong."""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets `first` to `last` of a partition that are lost. `byte`: where in `segment` the damage begins; `kept`: the file with the
    damaged bytes, "" where there were none; `noted`: it is in the audit."""

    topic: str
    partition: int
    first: int
    last: int
    segment: str
    byte: int
    bytes: int
    why: str
    kept: str
    at_ms: int
    noted: bool = False

    def line(self) -> str:
        """The loss as a line for people.

        >>> Loss(topic="calls", partition=3, first=7, last=7, segment="a.log", byte=40, bytes=29, why="a checksum is wrong",
        ...      kept="/j/damaged/a.log.byte-40", at_ms=0).line()
        'calls/3: offset 7 (1 entry): a.log at byte 40: a checksum is wrong; 29 bytes are kept in /j/damaged/a.log.byte-40'
        """
        count = self.last - self.first + 1
        offsets = f"offset {self.first}" if count == 1 else f"offsets {self.first} to {self.last}"
        kept = f"; {self.bytes} bytes are kept in {self.kept}" if self.kept else ""
        entries = "1 entry" if count == 1 else f"{count:,} entries"
        return f"{self.topic}/{self.partition}: {offsets} ({entries}): {self.segment} at byte {self.byte}: {self.why}{kept}"


@dataclass(frozen=True)
class Damage:
    """The damage of a partition. `lost`: damaged stretches of its segments (a stretch that loses no offset is surplus bytes).
    `aside`: files that do not belong there and hold nothing that was acknowledged. `notes`: what a repair leaves to a person.
    `synced_to`: the right content of `synced` if it is wrong; -1 = it is right. `plan`: the segments to write anew.
    `begins_at`: the new first offset of a partition whose segments are all gone; -1 = they are not."""

    topic: str
    partition: int
    lost: list[tuple[Path, Stretch]]
    aside: list[Path]
    notes: list[str]
    synced_to: int
    plan: dict[Path, list[Stretch]]
    begins_at: int = -1

    def __bool__(self) -> bool:
        return bool(self.lost or self.aside or self.notes or self.synced_to >= 0)

    @property
    def repairable(self) -> bool:
        return bool(self.lost or self.aside or self.synced_to >= 0)

    def lines(self) -> list[str]:
        """The damage as lines for people: topic, partition, file, byte, offsets."""
        place = f"{self.topic}/{self.partition}"
        found = []
        for path, one in self.lost:
            offsets = f"offset {one.first}" if one.end - one.first == 1 else f"offsets {one.first} to {one.end - 1}"
            what = f"{offsets} cannot be read" if one.end > one.first else "no offset is lost, and readers stop there"
            found.append(f"{place}: {what}: {path} at byte {one.at} ({one.stop - one.at:,} bytes): {one.fault}")
        found += [f"{place}: {path} does not belong there and holds nothing that was acknowledged" for path in self.aside]
        if self.synced_to >= 0:
            found.append(
                f"{place}: `synced` does not hold the end of the partition; by its segments that is offset {self.synced_to}"
            )
        return found + [f"{place}: {note}" for note in self.notes]


def check(home: Path, topic: str) -> list[Damage]:
    """The damage of a topic, one `Damage` per damaged partition. `topic.json` that cannot be read is a `JournalError`."""
    found = (_look(home / topic / str(number), topic, number) for number in range(FileJournal(home).partitions(topic)))
    return [damage for damage in found if damage]


def without_about(home: Path) -> list[str]:
    """Directories that hold partitions but no topic.json, and so are neither a topic nor checked."""
    found = []
    for folder in sorted(home.iterdir()) if home.is_dir() else []:
        parts = sum(one.is_dir() and one.name.isdecimal() for one in folder.iterdir()) if folder.is_dir() else 0
        if parts and not folder.name.startswith(".") and not (folder / "topic.json").exists():
            found.append(
                f"{folder / 'topic.json'} is gone: put it back from a backup, or write {_about(parts).decode()} into it if it had "
                f"{parts} partitions: there are {parts} directories of partitions"
            )
    return found


def repair(home: Path, damage: Damage, now_ms: int) -> list[Loss]:
    """Repairs one partition and returns what it has lost. `Locked` if its writer runs."""
    part = home / damage.topic / str(damage.partition)
    if not part.is_dir():
        raise JournalError(f"{damage.topic}/{damage.partition}: {no_directory(part)}")
    lock = _lock(part, f"{damage.topic}/{damage.partition}", checking=False)
    try:
        damage = _look(part, damage.topic, damage.partition)  # again, now that nobody writes
        found = []
        for path, one in damage.lost:
            kept = _keep_bytes(part, path, one)
            if one.end > one.first:
                found.append(_loss(damage, path, one, kept, now_ms))
        _note(part, found)
        for path in damage.aside:
            _move_aside(part, path)
        if damage.begins_at >= 0:
            replace_file(_segment(part, damage.begins_at), b"")
        for path, stretches in damage.plan.items():
            replace_file(path, _mended(path, stretches, now_ms))
        if damage.synced_to >= 0:
            _set_synced(part, damage.synced_to)
        return found
    except OSError as error:
        raise _explained(
            error, f"{damage.topic}/{damage.partition} is not repaired; what is done so far is harmless, run it again"
        ) from error
    finally:
        os.close(lock)


def losses(home: Path) -> list[Loss]:
    """Every loss that repairs have recorded in the topics of a directory."""
    found = []
    for topic in topics_in(home):
        with contextlib.suppress(JournalError):  # whoever opens the topic reports a topic.json that cannot be read
            for number in range(FileJournal(home).partitions(topic)):
                found += _losses(home / topic / str(number))
    return found


def set_noted(home: Path, noted: list[Loss]) -> None:
    """Marks losses as written into the audit."""
    for topic, partition in sorted({(loss.topic, loss.partition) for loss in noted}):
        part = home / topic / str(partition)
        kept = [msgspec.structs.replace(loss, noted=loss.noted or loss in noted) for loss in _losses(part)]
        replace_file(part / ASIDE / LOSSES, msgspec.json.format(msgspec.json.encode(kept), indent=1))


# --- looking ---------------------------------------------------------------------------------------------------------------------


class _Held(NamedTuple):
    """A segment of the chain: its stretches, and the offset behind its last sound frame."""

    path: Path
    base: int
    size: int
    stretches: list[Stretch]
    end: int


def _look(part: Path, topic: str, partition: int) -> Damage:
    if not part.is_dir():
        return Damage(topic, partition, [], [], [no_directory(part)], -1, {})
    notes = list(_strays(part))
    try:
        bases = _bases(part)
    except JournalError as error:
        return Damage(topic, partition, [], [], list(dict.fromkeys([str(error), *notes])), -1, {})
    synced, why = _end(part)
    chain: list[_Held] = []
    aside: list[Path] = []
    for base in bases:
        path = _segment(part, base)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue  # retention removed it meanwhile
        held = _held(path, base, data)
        if not chain or base == chain[-1].end:
            chain.append(held)
        elif base < chain[-1].end or base > synced or (held.end == base and base != synced):
            aside.append(path)  # its offsets are in the segment before; or nobody acknowledged them; or it holds none
        else:
            chain[-1] = _until(chain[-1], base)
            chain.append(held)
    for number, held in enumerate(chain[:-1]):
        chain[number] = _until(held, chain[number + 1].base)
    synced_to = begins_at = -1
    gone: list[tuple[Path, Stretch]] = []
    end = chain[-1].end if chain else 0
    if not why and synced > end and not any(held.size for held in chain):
        aside += [held.path for held in chain]
        chain, begins_at = [], synced
        gone = [(_segment(part, end), Stretch(False, 0, 0, end, synced, "all segments are missing"))]
    elif why and not chain:
        if read_to := max(marks.marks(part).values(), default=0):
            begins_at = synced_to = read_to
            gone = [(_segment(part, 0), Stretch(False, 0, 0, 0, read_to, "all segments are missing"))]
        else:
            notes.append(_NOTHING_LEFT.format(part=part))
    elif why:
        synced_to = _last_whole(chain[-1])
        read_to = max(marks.marks(part).values(), default=0)
        if synced_to < read_to <= synced_to + _AT_ONCE:  # a reader has been there, so it was acknowledged
            chain[-1], synced_to = _until(chain[-1], read_to), read_to
    elif synced - end > _AT_ONCE and max(marks.marks(part).values(), default=0) <= end:
        synced_to = _last_whole(chain[-1])  # nobody has ever read so far
    elif synced - end > _AT_ONCE:
        notes.append(
            f"offsets {end} to {synced - 1} are missing, too many to be recorded one by one: put their segments back from a backup"
        )
    elif synced > end:
        chain[-1] = _until(chain[-1], synced)
    lost = gone + [(held.path, one) for held in chain for one in held.stretches if not one.sound]
    plan = {held.path: held.stretches for held in chain if not all(one.sound for one in held.stretches)}
    return Damage(topic, partition, lost, aside, notes, synced_to, plan, begins_at)


def _held(path: Path, base: int, data: bytes) -> _Held:
    found = frames.stretches(data, base, _ANY_OFFSET)
    if found and not found[-1].sound:
        found.pop()  # how far it should have gone is not known yet
    return _Held(path, base, len(data), found, found[-1].end if found else base)


def _until(held: _Held, end: int) -> _Held:
    """The segment as one that should go up to `end`, with nothing behind."""
    stop = held.stretches[-1].stop if held.stretches else 0
    if held.end >= end and stop == held.size:
        return held
    why = "the file ends" if stop == held.size else "no frame follows"
    return held._replace(
        stretches=[*held.stretches, Stretch(False, stop, held.size, held.end, max(held.end, end), why)], end=max(held.end, end)
    )


def _last_whole(held: _Held) -> int:
    """Behind the last whole append, where nothing is damaged before it."""
    if any(not one.sound for one in held.stretches):
        return held.end
    return frames.extent(held.path.read_bytes(), held.base).end


def _end(part: Path) -> tuple[int, str]:
    """The synced end of the partition, and why it is wrong, or ""."""
    try:
        end = _synced(part)
    except JournalError as error:
        return 0, str(error)
    return (end, "") if end >= 0 else (0, f"it holds {end}")


def _synced(part: Path) -> int:
    with _Synced(part) as synced:
        return synced.end


def _strays(part: Path) -> Iterator[str]:
    known = re.compile(r"[0-9]{20}\.log|lock|synced|readers|damaged|\..*\.new")
    for name in sorted(os.listdir(part)) if part.is_dir() else []:
        if not known.fullmatch(name):
            yield f"{part / name} is none of the journal's files: move it away"
    for reader, offset in marks.marks(part).items():
        with contextlib.suppress(JournalError):
            if offset > _synced(part) >= 0:
                yield f"the mark of {reader} is {offset}, beyond the end: it read another journal before"


def _set_synced(part: Path, end: int) -> None:
    """In place: running readers have this very file mapped."""
    fd = os.open(part / "synced", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        os.pwrite(fd, end.to_bytes(8, sys.byteorder), 0)
        os.ftruncate(fd, 8)
        os.fsync(fd)
    finally:
        os.close(fd)


# --- mending ---------------------------------------------------------------------------------------------------------------------


def _keep_bytes(part: Path, path: Path, one: Stretch) -> str:
    """Copies a damaged stretch into a file of its own; its path, or "" where there are no bytes."""
    if one.stop == one.at:
        return ""
    with open(path, "rb") as file:
        file.seek(one.at)
        content = file.read(one.stop - one.at)
    target = _free(part, f"{path.name}.byte-{one.at}", content)
    replace_file(target, content)
    return str(target)


def _move_aside(part: Path, path: Path) -> None:
    target = _free(part, path.name, path.read_bytes())
    os.replace(path, target)
    sync_directory(target.parent)
    sync_directory(part)


def _make_aside(part: Path) -> None:
    (part / ASIDE).mkdir(mode=0o700, exist_ok=True)
    sync_directory(part)


def _free(part: Path, name: str, content: bytes) -> Path:
    """A free name in `damaged/`; the same name again for the same content."""
    _make_aside(part)
    for number in itertools.count(1):
        target = part / ASIDE / (name if number == 1 else f"{name}-{number}")
        if not target.exists() or target.read_bytes() == content:
            return target
    raise AssertionError("there is always a free number")


def _loss(damage: Damage, path: Path, one: Stretch, kept: str, now_ms: int) -> Loss:
    return Loss(
        topic=damage.topic,
        partition=damage.partition,
        first=one.first,
        last=one.end - 1,
        segment=path.name,
        byte=one.at,
        bytes=one.stop - one.at,
        why=one.fault,
        kept=kept,
        at_ms=now_ms,
    )


def _losses(part: Path) -> list[Loss]:
    path = part / ASIDE / LOSSES
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Loss])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise JournalError(f"{path} cannot be read ({error}): it records what repairs have lost. Move it away to go on") from error


def _note(part: Path, fresh: list[Loss]) -> None:
    if not fresh:
        return
    known = _losses(part)
    places = {(loss.first, loss.last) for loss in known}
    fresh = [loss for loss in fresh if (loss.first, loss.last) not in places]
    _make_aside(part)
    replace_file(part / ASIDE / LOSSES, msgspec.json.format(msgspec.json.encode([*known, *fresh]), indent=1))


def _mended(path: Path, stretches: list[Stretch], now_ms: int) -> bytes:
    """The segment with all its offsets: sound frames as they were, the others as lost."""
    data = path.read_bytes()
    parts = []
    for one in stretches:
        why = f"{one.fault} in {path.name} at byte {one.at}"
        parts.append(data[one.at : one.stop] if one.sound else frames.encode_lost(one.first, one.end - 1, why, now_ms))
    return b"".join(parts)
