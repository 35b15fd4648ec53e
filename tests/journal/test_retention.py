"""Retention never removes what a reader still has to read, whatever the clock shows, and is bounded by age and by size."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journal import Entry, Full, JournalError, Limits, marks, open_journal
from journal.files import FileJournal, FileWriter, wall_clock_ms
from journal.retention import Segment, plausible_ms, removable

DAY_MS = 86_400_000
SMALL = Limits(segment_bytes=4096)
"""With the default age of 7 days."""


def append(home: Path, count: int, limits: Limits = SMALL, now_ms: Callable[[], int] = wall_clock_ms) -> int:
    """So many entries of a kilobyte; the first offset that is still there."""
    journal = FileJournal(home, limits, now_ms)
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    for _ in range(count):
        writer.append([Entry(b"k", b"x" * 1000, 1)])
    writer.close()
    return journal.first_offset("calls", 0)


def age(home: Path, days: float, segments: slice = slice(None)) -> None:
    for path in sorted((home / "calls" / "0").glob("*.log"))[segments]:
        os.utime(path, ns=(int((wall_clock_ms() - days * DAY_MS) * 1_000_000),) * 2)


# --- the clock -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_days", [1, 8, 30, 400, 20_000])
@pytest.mark.parametrize("reader", ["", "judge"], ids=["no reader", "a reader at 0"])
def test_a_clock_that_leaps_for_one_append_removes_nothing(tmp_path: Path, ahead_days: int, reader: str) -> None:
    append(tmp_path, 20)
    if reader:
        FileJournal(tmp_path).mark_read("calls", 0, reader, 0)
    assert append(tmp_path, 1, now_ms=lambda: wall_clock_ms() + ahead_days * DAY_MS) == 0
    assert append(tmp_path, 20) == 0


def test_a_clock_that_leaps_while_the_writer_runs_removes_nothing(tmp_path: Path) -> None:
    off = [0]
    journal = FileJournal(tmp_path, SMALL, lambda: wall_clock_ms() + off[0])
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    for leap_days in (0, 8, 0, -8, 365, 0, -20_000, 9, 9, 0):
        off[0] = leap_days * DAY_MS
        for _ in range(5):
            writer.append([Entry(b"k", b"x" * 1000, 1)])
    assert journal.first_offset("calls", 0) == 0


def test_a_clock_that_ran_back_ends_a_segment_and_keeps_nothing_for_ever(tmp_path: Path) -> None:
    append(tmp_path, 20)
    age(tmp_path, -3_000, slice(0, 1))  # written while the clock stood years ahead
    age(tmp_path, 9, slice(1, 4))
    age(tmp_path, 0.5, slice(4, None))
    assert append(tmp_path, 1) == 12, "the oldest segment is as old as the one behind it"


def test_what_is_old_and_read_goes_and_what_is_old_and_unread_stays(tmp_path: Path) -> None:
    append(tmp_path, 20)
    journal = FileJournal(tmp_path, SMALL)
    age(tmp_path, 9, slice(0, 5))
    age(tmp_path, 0.5, slice(5, None))
    for judge, copy, first in ((0, 20, 0), (2, 20, 0), (3, 20, 3), (8, 20, 6), (20, 7, 6), (20, 20, 15)):
        journal.mark_read("calls", 0, "judge", judge)
        journal.mark_read("calls", 0, "copy", copy)
        assert append(tmp_path, 0) == first, "a segment goes when all its readers are past it"


def test_a_house_that_stood_still_for_weeks_loses_nothing_unread_and_retention_goes_on_as_it_runs(tmp_path: Path) -> None:
    """Weeks without a writer may come from a wrong clock: they do not count, days of running do."""
    append(tmp_path, 20)
    FileJournal(tmp_path).mark_read("calls", 0, "judge", 10)
    age(tmp_path, 30)
    assert append(tmp_path, 1) == 0 and append(tmp_path, 10) == 0 and append(tmp_path, 0) == 0
    days = [0.0]
    journal = FileJournal(tmp_path, SMALL, passed_ms=lambda: int(days[0] * DAY_MS))
    writer = journal.writer("calls", 0)
    for days[0], first in ((0.5, 0), (6.9, 0), (7.1, 9), (14.2, 9)):
        for _ in range(4):
            writer.append([Entry(b"k", b"x" * 1000, 1)])
        assert journal.first_offset("calls", 0) == first, "what judge has not read stays"


# --- the clock, against a model: age by what the monotonic clock counted ------------------------------------------------------------


class Wandering:
    """A partition whose wall clock leaps, and the true time at which each of its segments ended."""

    def __init__(self, home: Path) -> None:
        self.true_ms = self.wall_ms = 1_000 * DAY_MS
        self.written_ms: dict[int, int] = {}
        self.ended_ms: dict[int, int] = {}
        self.removed: dict[int, int] = {}
        self.home = home
        self.part = home / "calls" / "0"
        FileJournal(home, SMALL, lambda: self.wall_ms, lambda: self.true_ms).create("calls", 1)
        self.writer = self.open(0)

    def open(self, uptime_ms: int) -> FileWriter:
        return FileJournal(self.home, SMALL, lambda: self.wall_ms, lambda: self.true_ms - uptime_ms).writer("calls", 0)

    def bases(self) -> list[int]:
        return [int(path.stem) for path in sorted(self.part.glob("*.log"))]

    def step(self, passes_ms: int, leap_ms: int, kilobytes: int) -> None:
        self.true_ms += passes_ms
        self.wall_ms = self.true_ms + leap_ms
        before = self.bases()
        self.writer.append([Entry(b"k", b"x" * 1000 * kilobytes, 1)])
        if self.writer.end - 1 in self.bases() and self.writer.end > 1:
            self.ended_ms[before[-1]] = self.true_ms
        self.written_ms[self.bases()[-1]] = self.true_ms
        self.stamp()
        self.look(before)

    def stamp(self) -> None:
        """As the kernel dates a file that is written to."""
        os.utime(sorted(self.part.glob("*.log"))[-1], ns=(self.wall_ms * 1_000_000,) * 2)

    def look(self, before: list[int]) -> None:
        for base in sorted({*before} - {*self.bases()}):
            self.removed[base] = self.true_ms - self.written_ms[base]

    def restart(self, killed: bool, uptime_ms: int) -> None:
        before = self.bases()
        self.writer.close()
        if killed:
            self.stamp()
        self.writer = self.open(uptime_ms)
        self.look(before)


LEAPS = st.one_of(st.just(0), st.integers(-20, 20), st.sampled_from([8, -8, 16, 400, -400])).map(lambda days: days * 2 * DAY_MS)
STEPS = st.tuples(st.one_of(st.just(0), st.integers(0, 2 * DAY_MS)), LEAPS, st.integers(1, 3))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(steps=st.lists(STEPS, min_size=1, max_size=30))
def test_while_a_writer_lives_exactly_what_is_older_than_the_limit_goes_whatever_the_clock_does(steps: list[tuple[int, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as home:
        one = Wandering(Path(home))
        for step in steps:
            one.step(*step)
            assert all(age_ms > 7 * DAY_MS for age_ms in one.removed.values()), one.removed
            if one.writer.end - 1 in one.bases():  # a segment was begun, so retention has looked
                assert {base for base in one.ended_ms if one.true_ms - one.ended_ms[base] > 7 * DAY_MS} <= set(one.removed)
        one.writer.close()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.one_of(STEPS, st.tuples(st.just("restart"), st.booleans(), st.integers(0, 900 * DAY_MS))), min_size=1, max_size=30
    )
)
def test_over_restarts_and_kills_nothing_younger_than_the_limit_goes(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as home:
        one = Wandering(Path(home))
        for step in steps:
            one.restart(*step[1:]) if step[0] == "restart" else one.step(*step)
            assert all(age_ms > 7 * DAY_MS for age_ms in one.removed.values()), one.removed
        one.writer.close()


WEEK = [(DAY_MS // 2, 0, 1)] * 12
"""12 appends over 5.5 days."""


@pytest.mark.parametrize(
    "leaps",
    [
        [8, 0, 8, 0],
        [8, 16, 0],
        [8, 8, 0],
        [8, -8, 8, -8, 8],
        [8, 16, 24, 32, 40, 0],
        [400, 8, 400, 0],
        [-8, 0, 8, 0],
        [0.5, 8, 8.5, 9, 9.5, 0],
    ],
)
@pytest.mark.parametrize("restarts", [False, True], ids=["one life", "a restart behind each"])
def test_a_clock_that_leaps_again_and_again_removes_nothing_young(tmp_path: Path, leaps: list[float], restarts: bool) -> None:
    one = Wandering(tmp_path)
    for step in [*WEEK, *((60_000, int(leap * DAY_MS), 3) for leap in leaps for _ in range(2))]:
        one.step(*step)
        if restarts:
            one.restart(killed=True, uptime_ms=0)
    assert one.bases()[0] == 0
    one.writer.close()


@given(st.lists(st.integers(0, 400 * DAY_MS), min_size=1, max_size=12))
def test_the_plausible_time_is_never_beyond_what_was_written(times: list[int]) -> None:
    assert 0 <= plausible_ms(times, DAY_MS) <= max(times)


@given(
    sizes=st.lists(st.integers(0, 5_000), min_size=1, max_size=10),
    written=st.lists(st.integers(0, 20 * DAY_MS), min_size=10, max_size=10),
    read_to=st.none() | st.integers(0, 100),
    most=st.none() | st.integers(0, 20_000),
    now_ms=st.integers(0, 30 * DAY_MS),
)
def test_nothing_unread_is_ever_removable(sizes: list[int], written: list[int], read_to: int | None, most: int | None, now_ms: int) -> None:
    found = [Segment(10 * n, 10 * n + 10, size, written[n], Path(str(n))) for n, size in enumerate(sizes)]
    going = removable(found, Limits(retention_bytes=most), now_ms, read_to)
    assert going == found[: len(going)] and len(going) < len(found), "from the oldest on, never the one that is written to"
    assert all(read_to is None or segment.end <= read_to for segment in going)


# --- the size --------------------------------------------------------------------------------------------------------------------


BOUNDED = Limits(segment_bytes=4096, retention_bytes=8192, retention_ms=None)


def test_a_partition_full_of_unread_entries_is_an_error_with_the_reader(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, BOUNDED)
    journal.create("calls", 1)
    journal.mark_read("calls", 0, "judge", 1)
    journal.mark_read("calls", 0, "copy", 9)
    writer = journal.writer("calls", 0)

    def until_full() -> None:
        for _ in range(50):
            writer.append([Entry(b"k", b"x" * 1000, 1)])

    with pytest.raises(Full, match=r"calls/0 is full: it holds [\d,]+ bytes, its bound is 8,192, and judge has read only up to offset 1 ") as full:
        until_full()
    stored = writer.end
    assert 8 < stored <= 12 and "Start judge, or raise RINGFENCE_JOURNAL_PARTITION_GB" in str(full.value)
    assert journal.first_offset("calls", 0) == 0 and len(journal.reader("calls", 0, 0).read()) == stored
    with pytest.raises(Full):
        writer.append([Entry(b"k", b"x" * 1000, 1)])
    journal.mark_read("calls", 0, "judge", stored)
    assert writer.append([Entry(b"k", b"x" * 1000, 1)]) == stored, "the same writer goes on when judge has read"
    assert journal.first_offset("calls", 0) > 0


@pytest.mark.parametrize("topic", ["judged", "sums", "findings", "block_orders"])
def test_what_judge_writes_is_never_refused_for_the_bound(tmp_path: Path, topic: str) -> None:
    """A warehouse that is down delays pages, never a block."""
    journal = FileJournal(tmp_path, BOUNDED)
    journal.create(topic, 1)
    journal.mark_read(topic, 0, "store", 0)
    writer = journal.writer(topic, 0)
    for _ in range(50):
        writer.append([Entry(b"k", b"x" * 1000, 1)])
    assert journal.first_offset(topic, 0) == 0


@pytest.mark.parametrize("topic", ["calls", "judged"])
def test_drop_unread_removes_the_oldest_and_logs_it(tmp_path: Path, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    journal = FileJournal(tmp_path, Limits(segment_bytes=4096, retention_bytes=8192, drop_unread=True))
    journal.create(topic, 1)
    journal.mark_read(topic, 0, "judge", 1)
    writer = journal.writer(topic, 0)
    for _ in range(50):
        writer.append([Entry(b"k", b"x" * 1000, 1)])
    assert writer.size_bytes <= 8192 + 4096
    assert f"{topic}/0: offsets 1 to 2 are removed unread" in caplog.text


def test_another_process_may_remove_at_the_same_time(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, BOUNDED)
    journal.create("calls", 1)
    writer = journal.writer("calls", 0)
    for _ in range(9):
        writer.append([Entry(b"k", b"x" * 1000, 1)])
    for path in sorted((tmp_path / "calls" / "0").glob("*.log"))[:-1]:
        path.unlink()
    for _ in range(9):
        writer.append([Entry(b"k", b"x" * 1000, 1)])
    assert writer.size_bytes <= 8192 + 4096


# --- marks -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"-1", b"seven", b"7\n", b"1" * 40, b"\xff\xfe7", b"0x10"])
def test_an_unreadable_mark_stops_retention(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    append(tmp_path, 20)
    age(tmp_path, 9, slice(0, 5))
    age(tmp_path, 0.5, slice(5, None))
    FileJournal(tmp_path).mark_read("calls", 0, "judge", 20)
    (tmp_path / "calls" / "0" / "readers" / "judge").write_bytes(content)
    assert append(tmp_path, 0) == 0
    assert "retention waits for this reader" in caplog.text


@pytest.mark.parametrize("reader", ["", "Judge", "../judge", "a/b", "judge ", "1st", "x" * 64, "j\n"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, reader: str) -> None:
    append(tmp_path, 1)
    with pytest.raises(JournalError, match="is not a reader's name"):
        FileJournal(tmp_path).mark_read("calls", 0, reader, 1)


def test_stray_files_beside_the_marks_are_ignored(tmp_path: Path) -> None:
    append(tmp_path, 1)
    part = tmp_path / "calls" / "0"
    marks.set_mark(part, "judge", 5)
    for name in (".judge.new", "judge~", "NOTES.txt"):
        (part / "readers" / name).write_bytes(b"0")
    assert open_journal(f"files://{tmp_path}").readers("calls", 0) == {"judge": 5}
