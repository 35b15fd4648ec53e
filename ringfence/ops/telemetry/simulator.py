"""Metrics and readiness of the simulator."""

from __future__ import annotations

from ringfence.ops.telemetry import Part, catalog
from simulator.live import Progress


class Simulator(Part):
    """The simulator reports its progress."""

    def __init__(self) -> None:
        super().__init__()
        self._written = 0
        self.metrics.add(catalog.SIMULATED, 0)

    def report(self, value: object) -> None:
        match value:
            case Progress(written=written):
                self.metrics.add(catalog.SIMULATED, written - self._written)
                self._written = written

    def not_ready_reason(self) -> str:
        return "" if self._written else "it has written nothing yet"
