"""The lag is computed from the records that wait in the journal, without ticks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.record import TICK_KEY
from core.topics import CALLS
from dashboards.lag import LagQuery
from journal import Entry, create_topics, open_journal

NOW = 1_795_000_000_000


class Stored:
    """The highest stored offset per partition, as the warehouse answers it."""

    def __init__(self) -> None:
        self.to: dict[int, int] = {}

    def ask(self, _: Any) -> list[dict[str, int]]:
        return [{"partition": partition, "last_offset": offset, "newest_ms": NOW} for partition, offset in self.to.items()]


@pytest.fixture
def stored() -> Stored:
    return Stored()


@pytest.fixture
def query(tmp_path: Path, stored: Stored) -> LagQuery:
    create_topics(open_journal(f"files://{tmp_path}/journal"))
    return LagQuery(stored, f"files://{tmp_path}/journal")  # type: ignore[arg-type]


def append(tmp_path: Path, partition: int, *entries: tuple[bytes, int]) -> None:
    writer = open_journal(f"files://{tmp_path}/journal").writer(CALLS, partition)
    writer.append([Entry(key, b"{}", at_ms) for key, at_ms in entries])
    writer.close()


def test_ticks_alone_are_live(query: LagQuery, tmp_path: Path):
    for _ in range(3):
        append(tmp_path, 0, *((TICK_KEY, NOW) for _ in range(3_000)))  # as after a night without viewers
        lag = query.ask(NOW + 60_000)
        assert (lag.records, lag.behind_ms) == (0, 0)
    append(tmp_path, 0, (b"a", NOW + 1))
    assert query.ask(NOW + 5_001).behind_ms == 5_000


def test_the_lag_is_the_age_of_the_oldest_waiting_record(query: LagQuery, stored: Stored, tmp_path: Path):
    append(tmp_path, 1, (b"a", NOW), (TICK_KEY, NOW + 1), (b"a", NOW + 2_000), (b"a", NOW + 3_000))
    lag = query.ask(NOW + 5_000)
    assert (lag.records, lag.behind_ms) == (3, 5_000)
    stored.to = {1: 0}
    lag = query.ask(NOW + 5_000)
    assert (lag.records, lag.behind_ms) == (2, 3_000)
    stored.to = {1: 3}
    assert query.ask(NOW + 5_000).records == 0


def test_a_long_backlog_is_counted_without_reading_it(query: LagQuery, tmp_path: Path):
    append(tmp_path, 2, *((b"a", NOW + n) for n in range(5_000)))
    lag = query.ask(NOW + 60_000)
    assert (lag.records, lag.behind_ms) == (5_000, 60_000)
