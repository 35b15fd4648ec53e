"""What `watch` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from flows.watch import Outcome
from ringfence.ops.telemetry import Figures, Positions, Sample, catalog, snapshots
from ringfence.ops.telemetry.lags import Lags

LAG_MOST = 2_000
"""Messages of `sums`: each holds what a batch of records added."""


class Watch:
    """Told of each outcome when it is written."""

    def __init__(self, journal_dsn: str, state_file: Path) -> None:
        self.figures, self.positions = Figures(), Positions()
        self._lags = Lags(journal_dsn, self.positions.reached)
        self._state_file = state_file
        self.figures.add(catalog.ISSUED, 0)

    def report(self, value: object) -> None:
        match value:
            case Outcome(findings=findings, orders=orders):
                for detector, n in Counter(finding.detector for finding in findings).items():
                    self.figures.add(catalog.FINDINGS, n, detector)
                self.figures.add(catalog.ISSUED, len(orders))

    def look(self) -> Iterator[Sample]:
        yield from self._lags.samples()
        yield from snapshots.samples(self._state_file)

    def why_not(self) -> str:
        return self._lags.why_not(LAG_MOST)
