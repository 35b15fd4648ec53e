"""Metrics and readiness of `store`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from core.schemas import TABLES
from core.topics import JUDGED
from flows.store import Stored
from ringfence.ops.telemetry import Part, Polled, Sample, age_s, catalog
from ringfence.ops.telemetry.lags import Lags

MAX_LAG = 2_000
"""Batches of `judged`. With more, the pages are late."""
SILENT_S = 60.0


class Store(Part):
    """Store reports each insert. `ask`: any query of the warehouse, for times without inserts."""

    def __init__(self, journal_dsn: str, ask: Callable[[], object]) -> None:
        super().__init__()
        self._stored: dict[tuple[str, int], int] = {}
        self._lags = Lags(journal_dsn, self._reached)
        self._answer = Polled("warehouse", ask, fresh_s=10.0)
        self._stored_s: float | None = None
        for table in TABLES:
            self.metrics.add(catalog.STORED, 0, table)
        self.metrics.observe(catalog.END_TO_END, (), "stored")
        self.metrics.observe(catalog.INSERT, ())

    def _reached(self) -> dict[tuple[str, int], int]:
        """The offsets that are stored. Rows that are only read wait in a buffer and are read again after a crash."""
        return {**self.positions.began(), **self._stored}

    def report(self, value: object) -> None:
        match value:
            case Stored(rows, learned_ms, next_offset, seconds, at_ms):
                self._stored_s = time.monotonic()
                for partition, offset in next_offset.items():
                    self._stored[JUDGED, partition] = offset
                for table, n in rows.items():
                    self.metrics.add(catalog.STORED, n, table)
                self.metrics.observe(catalog.INSERT, [seconds])
                self.metrics.observe(catalog.END_TO_END, (at_ms - np.asarray(learned_ms)) / 1000, "stored")

    def _answered_s(self) -> float:
        ages = [age for age in (age_s(self._stored_s), self._answer.age_s()) if age >= 0]
        return min(ages, default=-1.0)

    def samples(self) -> Iterator[Sample]:
        self._answer.value()
        yield Sample(catalog.ANSWERED_AGE, self._answered_s())
        yield from self._lags.samples()

    def not_ready_reason(self) -> str:
        self._answer.value()
        silent_s = self._answered_s()
        if silent_s < 0 or silent_s > SILENT_S:
            since = f"for {silent_s:.0f} s" if silent_s >= 0 else "yet"
            return f"the warehouse has not answered {since} (RINGFENCE_WAREHOUSE): {self._answer.fault or 'it is being opened'}"
        return self._lags.not_ready_reason(MAX_LAG)
