"""The figures of the simulator."""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.ops.telemetry import Figures, Positions, Sample, catalog
from simulator.live import Progress


class Simulator:
    """Counts its progress."""

    def __init__(self) -> None:
        self.figures, self.positions = Figures(), Positions()
        self._written = 0
        self.figures.add(catalog.SIMULATED, 0)

    def report(self, value: object) -> None:
        match value:
            case Progress(written=written):
                self.figures.add(catalog.SIMULATED, written - self._written)
                self._written = written

    def look(self) -> Iterator[Sample]:
        yield from ()

    def why_not(self) -> str:
        return "" if self._written else "it has written nothing yet"
