"""What of a partition may be removed: by age, by size, and never what a reader still has to read.

**Age is not what the clock says.** A clock that leaps, or stands wrong when a process starts, would make everything look old. While
a writer lives, time passes for its partition as the machine's monotonic clock counts it, and a segment that was written to under
another wall clock is dated so when it ends (the file's time of modification). When a writer opens, its time goes on from what the
segments attest, and the wall clock is believed only where it is ahead of that by no more than a segment lasts (`roll_ms` and an hour):
a longer stop, or a leap, counts for nothing. So segments may be kept longer, by as long as no writer ran; they are never removed younger.

Removal goes from the oldest segment on, and each is gone from the disk before the next is touched: whatever kills it leaves a
partition that begins a little later.
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
    """A file of a partition: its first offset, the first offset of the next one (or the end), its size, when it was last written to."""

    base: int
    end: int
    size_bytes: int
    written_ms: int
    path: Path


def in_order(written_ms: list[int]) -> list[int]:
    """When segments were last written to, in their own order: none later than what follows it.

    >>> in_order([5, 90, 7, 8])
    [5, 7, 7, 8]
    """
    return list(itertools.accumulate(reversed(written_ms), min))[::-1]


def plausible_ms(written_ms: list[int], roll_ms: int) -> int:
    """The newest time that segments attest, given when each was last written to, in their order; 0 for none.

    Those before the last were dated right when they ended. The last one may have been dated by a clock that leapt, in a process that was
    killed: it is believed as far as a segment can last.

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
    """The time of a partition when its writer opens: what its segments attest, or the wall clock where that is plausible.

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
    """The oldest of the closed segments that may go; the last of `segments` is the one that is written to, and stays.

    `read_to`: the lowest offset that a reader still needs; None = there is no reader.
    """
    found = []
    left_bytes = sum(segment.size_bytes for segment in segments)
    # A segment was ended before the next one was: a later time was a wrong clock's.
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
    """Removes segments, the oldest first, each for good before the next."""
    for segment in segments:
        segment.path.unlink(missing_ok=True)
        sync_directory(part)


def segments_of(part: Path, bases: list[int], end: int) -> list[Segment]:
    """Those that are still there: another process may be removing some."""
    found: list[Segment] = []
    for base, following in zip(bases, [*bases[1:], end], strict=False):
        path = part / f"{base:020d}.log"
        try:
            about = os.stat(path)
        except FileNotFoundError:
            continue
        found.append(Segment(base, following, about.st_size, about.st_mtime_ns // 1_000_000, path))
    return found
