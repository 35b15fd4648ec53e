"""Which segments of a partition may be removed: by age, by size, and never one that a reader still has to read.

**Age does not follow the wall clock.** A clock that leaps, or is wrong when a process starts, would make all segments look old. While
a writer lives, the time of its partition advances by the machine's monotonic clock, and a segment that was written under a wrong wall
clock gets its modification time from it when it ends. When a writer opens, the time of the partition continues from the newest segment;
the wall clock is used only if it is ahead of that by no more than a segment lasts (`roll_ms` and an hour): a longer stop, or a leap,
counts as no time. So segments may stay longer, by as long as no writer ran; they are never removed early.

Segments are removed from the oldest on, each durably before the next: a crash leaves a partition that begins a little later.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import NamedTuple

from journal import marks
from journal.durable import sync_directory
from journal.limits import Limits

_HOUR_MS = 3_600_000


class Segment(NamedTuple):
    """A file of a partition: its first offset, the first offset of the next one (or the end), its size, and when it was last written."""

    base: int
    end: int
    size_bytes: int
    written_ms: int
    path: Path


def in_order(written_ms: list[int]) -> list[int]:
    """When segments were last written, in their order: none later than the one after it.

    >>> in_order([5, 90, 7, 8])
    [5, 7, 7, 8]
    """
    return list(itertools.accumulate(reversed(written_ms), min))[::-1]


def plausible_ms(written_ms: list[int], roll_ms: int) -> int:
    """The newest plausible time among those at which segments were last written, in their order; 0 for none.

    The times before the last were set when the segments ended. The last one may come from a clock that leapt, in a process that was
    killed: it counts only if it is no further ahead than a segment can last.

    >>> day = 86_400_000
    >>> plausible_ms([1 * day, 2 * day, 3 * day], day) == 3 * day, plausible_ms([1 * day, 2 * day, 30 * day], day) == 2 * day
    (True, True)
    >>> plausible_ms([7 * day, 1, 2], day), plausible_ms([30 * day], day) == 30 * day
    (2, True)
    """
    times = in_order(written_ms)
    if len(times) < 2:
        return times[0] if times else 0
    return _within(times[-2], times[-1], roll_ms)


def opened_ms(written_ms: list[int], wall_ms: int, roll_ms: int) -> int:
    """The time of a partition when its writer opens: the newest time of its segments, or the wall clock if that is plausible.

    >>> day = 86_400_000
    >>> opened_ms([], 5 * day, day) == 5 * day, opened_ms([1 * day, 2 * day], 3 * day, day) == 3 * day
    (True, True)
    >>> opened_ms([1 * day, 2 * day], 10 * day, day) == 2 * day, opened_ms([1 * day, 2 * day], 1 * day, day) == 2 * day
    (True, True)
    """
    return _within(plausible_ms(written_ms, roll_ms), wall_ms, roll_ms) if written_ms else wall_ms


def _within(time_ms: int, later_ms: int, roll_ms: int) -> int:
    return later_ms if time_ms <= later_ms <= time_ms + roll_ms + _HOUR_MS else time_ms


def removable(segments: list[Segment], limits: Limits, now_ms: int, read_to: int | None) -> list[Segment]:
    """The oldest closed segments that may be removed; the last of `segments` is the one that is written to, and stays.

    `read_to`: the lowest offset that a reader still needs; None = there is no reader.
    """
    found = []
    left_bytes = sum(segment.size_bytes for segment in segments)
    # A segment ended before the next one did: a later time came from a wrong clock.
    for segment, written_ms in zip(segments[:-1], in_order([segment.written_ms for segment in segments]), strict=False):
        over = limits.retention_bytes is not None and left_bytes > limits.retention_bytes
        old = limits.retention_ms is not None and written_ms < now_ms - limits.retention_ms
        unread = read_to is not None and segment.end > read_to
        if not (over or old) or (unread and not (over and limits.drop_unread)):
            break
        found.append(segment)
        left_bytes -= segment.size_bytes
    return found


def read_to(part: Path) -> int | None:
    """The lowest offset that a reader of this partition still needs; None where there is no reader."""
    return min(marks.marks(part).values(), default=None)


def remove(part: Path, segments: list[Segment]) -> None:
    """Removes segments, the oldest first, each durably before the next."""
    for segment in segments:
        segment.path.unlink(missing_ok=True)
        sync_directory(part)


def segments_of(part: Path, bases: list[int], end: int) -> list[Segment]:
    """The segments that still exist: another process may be removing some."""
    found: list[Segment] = []
    for base, following in zip(bases, [*bases[1:], end], strict=False):
        path = part / f"{base:020d}.log"
        try:
            about = os.stat(path)
        except FileNotFoundError:
            continue
        found.append(Segment(base, following, about.st_size, about.st_mtime_ns // 1_000_000, path))
    return found
