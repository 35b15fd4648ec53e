"""Entries of one partition get into the journal in order and none is lost, while the journal fails and recovers and the collector is killed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from journal import Entry, Full, Journal, JournalError, Limits, Writer, open_journal
from switches.lane import Lane
from switches.spool import Spool


def test_a_journal_that_is_full_for_its_reader_fills_the_spool_and_drains_it_when_the_reader_is_back(tmp_path: Path) -> None:
    journal = open_journal(f"files://{tmp_path}/journal", Limits(segment_bytes=64 << 10, retention_bytes=64 << 10, retention_ms=None))
    journal.create("calls", 1)
    journal.mark_read("calls", 0, "judge", 0)
    clock = [0]
    lane = Lane("calls/0", lambda: journal.writer("calls", 0), Spool(tmp_path / "spool", 0, 1), lambda size: True, lambda: clock[0])
    for n in range(150):
        lane.append([Entry(b"k", b"%d" % n + b"x" * 1000, n)])
    assert lane.waiting and "is full" in lane.away_because and "judge has read only up to offset 0" in lane.away_because
    reader, got = journal.reader("calls", 0, 0), list[int]()
    for _ in range(30):
        got += [message.learned_ms for message in reader.read()]
        journal.mark_read("calls", 0, "judge", reader.offset)
        clock[0] += 20_000
        lane.catch_up()
    got += [message.learned_ms for message in reader.read()]
    assert got == list(range(150)) and not lane.waiting and not lane.away_because
    lane.close()


class Weather:
    """A real journal behind a switch: `fine`, `away` or `full`."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.now = "fine"

    def open_writer(self) -> Writer:
        if self.now == "away":
            raise JournalError("away")
        return Weathered(self._journal.writer("calls", 0), self)


class Weathered:
    def __init__(self, inner: Writer, weather: Weather) -> None:
        self._inner = inner
        self._weather = weather

    def append(self, entries: Sequence[Entry]) -> int:
        if self._weather.now == "away":
            raise JournalError("away")
        if self._weather.now == "full":
            raise Full("full")
        return self._inner.append(entries)

    def close(self) -> None:
        self._inner.close()


STEPS = st.sampled_from(["append", "append", "append", "away", "full", "fine", "catch up", "restart", "forget the position"])


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_all_entries_arrive_in_order_through_any_faults(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        journal = open_journal(f"files://{home}/journal")
        journal.create("calls", 1)
        weather = Weather(journal)
        clock = [0]

        def open_lane() -> Lane:
            return Lane("calls/0", weather.open_writer, Spool(home / "spool", 0, 1), lambda size: True, lambda: clock[0])

        lane = open_lane()
        count = 0
        for step in [*steps, "fine", "catch up"]:
            clock[0] += 400  # a retry is due after 1000, and later each 10,000
            match step:
                case "append":
                    lane.append([Entry(b"k", b"%d" % n, n) for n in range(count, count + 3)])
                    count += 3
                case "catch up":
                    clock[0] += 10_000
                    lane.catch_up()
                case "restart" | "forget the position":
                    lane.close()
                    if step == "forget the position":  # as a kill between handing on and storing the position does
                        (home / "spool" / "position-0").unlink(missing_ok=True)
                    lane = open_lane()
                case _:
                    weather.now = step
        assert lane.waiting == 0
        lane.close()
        got = [int(m.value) for m in journal.reader("calls", 0, 0).read(max_messages=10_000)]
        assert list(dict.fromkeys(got)) == list(range(count))  # each once, in order, but for what was handed on twice
        if "forget the position" not in steps:
            assert got == list(range(count))
