"""Counts of the records from before this `up` started, for its status line: queried from the warehouse in the background until all are stored.

The other counts of the line come from the journal, so they continue while the warehouse is slow or down.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping

from ringfence.settings import Settings
from services.reading import reader_dsn
from warehouse import WarehouseError, ask, open_warehouse, queries

FIRST_S, LONGEST_S = 1.0, 300.0
"""Pause between two queries. It doubles, because a partition that ends in ticks never counts as fully stored."""


class StoredCounts:
    """`counts`: the last result, by disposition; empty before the first one."""

    def __init__(self, ends: Mapping[int, int], query: Callable[[], tuple[Counter[str], Mapping[int, int]]]) -> None:
        self._ends, self._query = ends, query
        self.counts = Counter[str]()
        self._closed = threading.Event()
        if any(ends.values()):
            threading.Thread(target=self._run, name="stored-counts", daemon=True).start()

    def _run(self) -> None:
        wait_s = FIRST_S
        while not self._closed.wait(wait_s):
            wait_s = min(wait_s * 2, LONGEST_S)
            try:
                self.counts, stored_to = self._query()
            except WarehouseError:
                continue  # down, or not started yet: `store` reports it
            if all(stored_to.get(partition, -1) >= end - 1 for partition, end in self._ends.items()):
                return

    def close(self) -> None:
        self._closed.set()


def warehouse_query(settings: Settings, ends: Mapping[int, int]) -> Callable[[], tuple[Counter[str], Mapping[int, int]]]:
    """Query for: disposition -> records below the ends; partition -> highest stored offset."""

    def query() -> tuple[Counter[str], Mapping[int, int]]:
        client = open_warehouse(reader_dsn(settings.installation))
        try:
            found = Counter({row["disposition"]: int(row["records"]) for row in ask(client, queries.dispositions_below(ends))})
            return found, {row["partition"]: row["last_offset"] for row in ask(client, queries.completeness())}
        finally:
            client.close()

    return query
