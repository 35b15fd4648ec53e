"""What the simulator shows."""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.ops.telemetry import Figures, Places, Sample, catalog
from simulator.live import Progress

WAITING_MOST = 5_000


class Simulator:
    """Told of its progress, as the terminal is."""

    def __init__(self) -> None:
        self.figures, self.places = Figures(), Places()
        self._posted = self._retries = 0
        self._progress: Progress | None = None
        self.figures.add(catalog.SHIPPED, 0)
        self.figures.add(catalog.SHIP_FAILURES, 0)

    def tell(self, value: object) -> None:
        match value:
            case Progress(posted=posted, retries=retries):
                self._progress = value
                self.figures.add(catalog.SHIPPED, posted - self._posted)
                self.figures.add(catalog.SHIP_FAILURES, retries - self._retries)
                self._posted, self._retries = posted, retries

    def look(self) -> Iterator[Sample]:
        if self._progress:
            yield Sample(catalog.BACKLOG_RECORDS, self._progress.waiting)

    def why_not(self) -> str:
        if self._progress is None:
            return "it has posted nothing yet"
        if self._progress.waiting > WAITING_MOST:
            return f"{self._progress.waiting:,} records wait for the collector: {self._progress.last_refusal or 'no word why'}"
        return ""
