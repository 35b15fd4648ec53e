"""How far behind live the stored figures are: how many records wait in the journal, and since when the oldest of them does."""

from __future__ import annotations

from dataclasses import dataclass

from core.text import span
from core.topics import CALLS
from dashboards.warehouse_client import WarehouseClient
from journal import Journal, open_journal
from journal.waiting import waiting
from warehouse import queries

RECENT_MS = 120_000
"""What is asked at each turn: what got no record since then has not changed."""
FAR_MS = (900_000, 86_400_000, 1 << 60)
"""How far back it is looked at the start, until each partition has shown a record."""
LIVE_MS = 3_000
"""The store writes once a second: that much is live."""
LATE_MS = 15_000
"""More is shown in red."""


@dataclass(frozen=True)
class Lag:
    """`records` are in the journal and not in the warehouse; `behind_ms` is how long the oldest of them has waited, 0 = none waits."""

    records: int
    behind_ms: int
    newest_ms: int | None = None  # of what is stored


class Behind:
    """Compares the journal with the warehouse. It remembers how far ticks were stepped over."""

    def __init__(self, line: WarehouseClient, journal_dsn: str) -> None:
        self._line, self._dsn = line, journal_dsn
        self._journal: Journal | None = None
        self._taken: dict[int, int] = {}
        self._newest_ms: int | None = None
        self._known = False

    def ask(self, now_ms: int) -> Lag:
        self._journal = self._journal or open_journal(self._dsn)
        partitions = range(self._journal.partitions(CALLS))
        for far_ms in (RECENT_MS,) if self._known else FAR_MS:
            for row in self._line.ask(queries.stored_to(max(0, now_ms - far_ms))):
                self._taken[row["partition"]] = max(self._taken.get(row["partition"], 0), row["last_offset"] + 1)
                self._newest_ms = max(self._newest_ms or 0, row["newest_ms"])
            if all(partition in self._taken for partition in partitions):
                break
        self._known = True
        records, oldest = 0, []
        for partition in partitions:
            one = waiting(self._journal, CALLS, partition, self._taken.get(partition, 0))
            self._taken[partition] = one.offset
            records += one.records
            oldest += [one.oldest_ms] if one.oldest_ms is not None else []
        return Lag(records, max(0, now_ms - min(oldest, default=now_ms)), self._newest_ms)


def behind_words(behind_ms: int, records: int) -> str:
    """
    >>> behind_words(800, 3), behind_words(4_200, 310), behind_words(0, 0)
    ('live', '4.2 s behind live, 310 records on their way', 'live')
    """
    if behind_ms <= LIVE_MS:
        return "live"
    return f"{span(behind_ms)} behind live, {records:,} record{'s' * (records != 1)} on their way"
