"""What the warehouse knows of the records that came before this `up` began, for its line: asked beside it, now and then, until all is stored.

The line itself comes from the journal: it goes on while the warehouse is slow or down.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping

from ringfence.settings import Settings
from services.reading import reader_dsn
from warehouse import WarehouseError, ask, open_warehouse, queries

FIRST_S, LONGEST_S = 1.0, 300.0
"""Between two questions: soon at first, and less and less often where a record of before never comes (a partition that ends in ticks)."""


class Earlier:
    """`counts` is of what was found last; empty before the first answer."""

    def __init__(self, ends: Mapping[int, int], question: Callable[[], tuple[Counter[str], Mapping[int, int]]]) -> None:
        self._ends, self._question = ends, question
        self.counts = Counter[str]()
        self._closed = threading.Event()
        if any(ends.values()):
            threading.Thread(target=self._run, name="earlier", daemon=True).start()

    def _run(self) -> None:
        wait_s = FIRST_S
        while not self._closed.wait(wait_s):
            wait_s = min(wait_s * 2, LONGEST_S)
            try:
                self.counts, stored_to = self._question()
            except WarehouseError:
                continue  # away, or not up yet: the part that holds it says so
            if all(stored_to.get(partition, -1) >= end - 1 for partition, end in self._ends.items()):
                return

    def close(self) -> None:
        self._closed.set()


def asked_of_warehouse(settings: Settings, ends: Mapping[int, int]) -> Callable[[], tuple[Counter[str], Mapping[int, int]]]:
    """Disposition -> records below the ends, and the highest offset of each partition that is stored."""

    def question() -> tuple[Counter[str], Mapping[int, int]]:
        client = open_warehouse(reader_dsn(settings.installation))
        try:
            found = Counter({row["disposition"]: int(row["records"]) for row in ask(client, queries.dispositions_below(ends))})
            return found, {row["partition"]: row["last_offset"] for row in ask(client, queries.completeness())}
        finally:
            client.close()

    return question
