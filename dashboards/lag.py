"""The lag of the warehouse: how many records wait in the journal, and how long the oldest has waited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from core.text import span
from core.topics import CALLS
from dashboards.warehouse_client import WarehouseClient
from journal import Journal, open_journal
from journal.waiting import waiting
from warehouse import queries

RECENT_MS = 120_000
"""Queried each time: a partition without newer records has not changed."""
FAR_MS = (900_000, 86_400_000, 1 << 60)
"""How far back the first query goes, until each partition has a record."""
LIVE_MS = 3_000
"""`store` writes once per second: a smaller lag is shown as live."""
LATE_MS = 15_000
"""A larger lag is shown in red."""


class PartitionLag(NamedTuple):
    """Of one partition; `behind_ms` 0 = no record waits."""

    partition: int
    records: int
    behind_ms: int


@dataclass(frozen=True)
class Lag:
    """`records`: in the journal and not in the warehouse; `behind_ms`: how long the oldest has waited, 0 = none waits."""

    records: int
    behind_ms: int
    partitions: tuple[PartitionLag, ...] = ()


class LagQuery:
    """Compares the journal with the warehouse. It remembers which ticks were skipped."""

    def __init__(self, client: WarehouseClient, journal_dsn: str) -> None:
        self._client, self._dsn = client, journal_dsn
        self._journal: Journal | None = None
        self._next_offset: dict[int, int] = {}
        self._known = False

    def ask(self, now_ms: int) -> Lag:
        self._journal = self._journal or open_journal(self._dsn)
        partitions = range(self._journal.partitions(CALLS))
        for far_ms in (RECENT_MS,) if self._known else FAR_MS:
            wanted = partitions if self._known else [one for one in partitions if one not in self._next_offset]
            if not wanted:
                break
            for row in self._client.ask(queries.stored_to(max(0, now_ms - far_ms), wanted)):
                self._next_offset[row["partition"]] = max(self._next_offset.get(row["partition"], 0), row["last_offset"] + 1)
        self._known = True
        found = []
        for partition in partitions:
            one = waiting(self._journal, CALLS, partition, self._next_offset.get(partition, 0))
            self._next_offset[partition] = one.offset
            behind_ms = max(0, now_ms - one.oldest_ms) if one.oldest_ms is not None else 0
            found.append(PartitionLag(partition, one.records, behind_ms))
        return Lag(sum(one.records for one in found), max((one.behind_ms for one in found), default=0), tuple(found))


def lag_text(behind_ms: int, records: int) -> str:
    """
    >>> lag_text(800, 3), lag_text(4_200, 310), lag_text(0, 0)
    ('live', '4.2 s behind live, 310 records waiting', 'live')
    """
    if behind_ms <= LIVE_MS:
        return "live"
    return f"{span(behind_ms)} behind live, {records:,} record{'s' * (records != 1)} waiting"
