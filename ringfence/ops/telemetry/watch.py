"""Metrics and readiness of `watch`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from flows.watch import Outcome
from ringfence.ops.telemetry import Part, Sample, catalog, snapshots
from ringfence.ops.telemetry.lags import Lags

MAX_LAG = 2_000
"""Messages of `sums`, each with the sums of one batch."""


class Watch(Part):
    """Watch reports each outcome when it is written."""

    def __init__(self, journal_dsn: str, state_file: Path) -> None:
        super().__init__()
        self._lags = Lags(journal_dsn, self.positions.reached)
        self._state_file = state_file
        self.metrics.add(catalog.ISSUED, 0)

    def report(self, value: object) -> None:
        match value:
            case Outcome(findings=findings, orders=orders):
                for detector, n in Counter(finding.detector for finding in findings).items():
                    self.metrics.add(catalog.FINDINGS, n, detector)
                self.metrics.add(catalog.ISSUED, len(orders))

    def samples(self) -> Iterator[Sample]:
        yield from self._lags.samples()
        yield from snapshots.samples(self._state_file)

    def not_ready_reason(self) -> str:
        return self._lags.not_ready_reason(MAX_LAG)
