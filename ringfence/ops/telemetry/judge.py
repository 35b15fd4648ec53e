"""Metrics and readiness of `judge`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from core.money import NANOS
from core.schemas import DISPOSITIONS
from detectors import registry
from flows.judge import Copied, JudgeProgress, Written
from ringfence.ops.telemetry import Metrics, Part, Sample, catalog, snapshots
from ringfence.ops.telemetry.lags import Lags

MAX_LAG = 20_000
"""Messages: a second or two of a judge that works at its full speed. With more, orders are late."""


class Judge(Part):
    """Judge reports each batch when it is written."""

    def __init__(self, journal_dsn: str, state_file: Path) -> None:
        super().__init__()
        self._lags = Lags(journal_dsn, self.positions.reached)
        self._state_file = state_file
        self._state: JudgeProgress | None = None
        for disposition in DISPOSITIONS:
            self.metrics.add(catalog.RECORDS, 0, disposition)
        self.metrics.add(catalog.ISSUED, 0)
        for name in (*(one.name for one in registry.features()), *(one.name for one in registry.detectors())):
            self.metrics.add(catalog.DROPPED, 0, name)
        self.metrics.observe(catalog.END_TO_END, (), "judged")
        self.metrics.observe(catalog.SNAPSHOT_PAUSE, ())

    def report(self, value: object) -> None:
        match value:
            case Written(outcome, at_ms, state):
                self._state = state
                count_records(self.metrics, outcome.records, at_ms)
                count_money(self.metrics, outcome.charges)
                for detector, n in Counter(finding.detector for finding in outcome.findings).items():
                    self.metrics.add(catalog.FINDINGS, n, detector)
                self.metrics.add(catalog.ISSUED, len(outcome.orders))
                for one in outcome.dropped:
                    self.metrics.add(catalog.DROPPED, one.subjects, one.detector)
            case Copied(seconds):
                self.metrics.observe(catalog.SNAPSHOT_PAUSE, [seconds])

    def samples(self) -> Iterator[Sample]:
        yield from self._lags.samples()
        yield from snapshots.samples(self._state_file)
        if state := self._state:
            yield Sample(catalog.ACTIVE_CALLS, state.in_flight)
            yield Sample(catalog.CONFIG, state.config_version)
            for partition, tick_ms in state.ticks_ms.items():
                yield Sample(catalog.TICK_AGE, time.time() - tick_ms / 1000, (str(partition),))

    def not_ready_reason(self) -> str:
        return self._lags.not_ready_reason(MAX_LAG)


def count_records(metrics: Metrics, judged: pl.DataFrame, at_ms: int) -> None:
    """Count dispositions, and the time that each record took."""
    if judged.is_empty():
        return
    for disposition, n in judged["disposition"].value_counts().iter_rows():
        metrics.add(catalog.RECORDS, n, disposition)
    metrics.observe(catalog.END_TO_END, (at_ms - judged["learned_ms"].to_numpy()) / 1000, "judged")


def count_money(metrics: Metrics, charges: pl.DataFrame) -> None:
    """Count the first price of each call: a correction may be lower, and a counter only grows. With numpy: a group_by is slower on small batches."""
    if charges.is_empty():
        return
    first = (charges["revision"].to_numpy() == 1) & (charges["level"].to_numpy() == 0)
    whose = list(zip(charges["role"].to_list(), charges["currency"].to_list(), strict=True))
    nanos = charges["nanos"].to_numpy()
    for role, currency in {one for one in whose if one[1]}:
        of_it = first & np.fromiter((one == (role, currency) for one in whose), np.bool_, len(whose))
        metrics.add(catalog.MONEY, float(nanos[of_it].sum(dtype=np.float64)) / NANOS, role, currency)
