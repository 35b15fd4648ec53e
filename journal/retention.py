"""What of a partition may be removed: by age, by size, and never what a reader still has to read.

**Age is not what the clock says.** A clock that leaps for one append, or stands wrong when a process starts, would make everything
look old. So age is measured up to the newest *plausible* time: a time at which more than one segment was written, or one that follows
such a time within the span in which a segment is filled. The clock only ever brings that time forward to now, never beyond.

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


def plausible_ms(written_ms: list[int], roll_ms: int) -> int:
    """The newest time that segments attest, given when each was last written to; 0 for none.

    A lone segment far ahead of all others is believed as far as a segment can last.

    >>> day, hour = 86_400_000, 3_600_000
    >>> plausible_ms([1 * day, 2 * day, 3 * day], day) == 3 * day
    True
    >>> plausible_ms([1 * day, 2 * day, 30 * day], day) == 3 * day + hour
    True
    >>> plausible_ms([1 * day, 30 * day, 30 * day + hour], day) == 30 * day + hour
    True
    >>> plausible_ms([7 * day, 1, 2], day) == day + hour + 2
    True
    """
    times = sorted(written_ms)
    step_ms = roll_ms + _HOUR_MS
    start = len(times) - 1
    while start > 0 and times[start] - times[start - 1] <= step_ms:
        start -= 1
    if start <= 0 or start < len(times) - 1:
        return times[-1] if times else 0
    return times[start - 1] + step_ms


def removable(segments: list[Segment], limits: Limits, now_ms: int, read_to: int | None) -> list[Segment]:
    """The oldest of the closed segments that may go; the last of `segments` is the one that is written to, and stays.

    `read_to`: the lowest offset that a reader still needs; None = there is no reader.
    """
    found = []
    left_bytes = sum(segment.size_bytes for segment in segments)
    for segment, following in itertools.pairwise(segments):
        over = limits.retention_bytes is not None and left_bytes > limits.retention_bytes
        # A time that is still to come was a wrong clock's: the segment was ended before the next one was.
        written_ms = segment.written_ms if segment.written_ms <= now_ms else min(segment.written_ms, following.written_ms)
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
