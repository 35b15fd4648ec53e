"""What `judge` shows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from core.money import NANOS
from core.schemas import DISPOSITIONS
from flows.judge import Copied, Standing, Written
from ringfence.ops.telemetry import Figures, Positions, Sample, catalog, snapshots
from ringfence.ops.telemetry.lags import Lags

LAG_MOST = 20_000
"""Messages: a second or two of a judge that works at its full speed. With more, orders are late."""


class Judge:
    """Told of each batch when it is written."""

    def __init__(self, journal_dsn: str, state_file: Path) -> None:
        self.figures, self.positions = Figures(), Positions()
        self._lags = Lags(journal_dsn, self.reached)
        self._state_file = state_file
        self._standing: Standing | None = None
        for disposition in DISPOSITIONS:
            self.figures.add(catalog.RECORDS, 0, disposition)
        self.figures.add(catalog.ISSUED, 0)
        self.figures.spread(catalog.END_TO_END, (), "judged")
        self.figures.spread(catalog.SNAPSHOT_PAUSE, ())

    def reached(self) -> dict[tuple[str, int], int]:
        return self.positions.reached()

    def report(self, value: object) -> None:
        match value:
            case Written(outcome, at_ms, standing):
                self._standing = standing
                count_records(self.figures, outcome.records, at_ms)
                count_money(self.figures, outcome.charges)
                for detector, n in Counter(finding.detector for finding in outcome.findings).items():
                    self.figures.add(catalog.FINDINGS, n, detector)
                self.figures.add(catalog.ISSUED, len(outcome.orders))
            case Copied(seconds):
                self.figures.spread(catalog.SNAPSHOT_PAUSE, [seconds])

    def look(self) -> Iterator[Sample]:
        yield from self._lags.samples()
        yield from snapshots.samples(self._state_file)
        if standing := self._standing:
            yield Sample(catalog.FLYING, standing.in_flight)
            yield Sample(catalog.CONFIG, standing.config_version)
            for partition, tick_ms in standing.ticks_ms.items():
                yield Sample(catalog.TICK_AGE, time.time() - tick_ms / 1000, (str(partition),))

    def why_not(self) -> str:
        return self._lags.why_not(LAG_MOST)


def count_records(figures: Figures, judged: pl.DataFrame, at_ms: int) -> None:
    """Dispositions, and how long each record took."""
    if judged.is_empty():
        return
    for disposition, n in judged["disposition"].value_counts().iter_rows():
        figures.add(catalog.RECORDS, n, disposition)
    figures.spread(catalog.END_TO_END, (at_ms - judged["learned_ms"].to_numpy()) / 1000, "judged")


def count_money(figures: Figures, charges: pl.DataFrame) -> None:
    """First prices: what corrects a call later may be less, and a counter only grows. By numpy: a group_by costs more than a batch is worth."""
    if charges.is_empty():
        return
    first = (charges["revision"].to_numpy() == 1) & (charges["level"].to_numpy() == 0)
    whose = list(zip(charges["role"].to_list(), charges["currency"].to_list(), strict=True))
    nanos = charges["nanos"].to_numpy()
    for role, currency in {one for one in whose if one[1]}:
        of_it = first & np.fromiter((one == (role, currency) for one in whose), np.bool_, len(whose))
        figures.add(catalog.MONEY, float(nanos[of_it].sum(dtype=np.float64)) / NANOS, role, currency)
