"""Metrics and readiness of the simulator."""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.ops.telemetry import Metrics, Positions, Sample, catalog
from simulator.live import Progress


class Simulator:
    """The simulator reports its progress."""

    def __init__(self) -> None:
        self.metrics, self.positions = Metrics(), Positions()
        self._written = 0
        self.metrics.add(catalog.SIMULATED, 0)

    def report(self, value: object) -> None:
        match value:
            case Progress(written=written):
                self.metrics.add(catalog.SIMULATED, written - self._written)
                self._written = written

    def samples(self) -> Iterator[Sample]:
        yield from ()

    def not_ready_reason(self) -> str:
        return "" if self._written else "it has written nothing yet"
