"""What the collector shows."""

from __future__ import annotations

import time
from collections.abc import Iterator

from core.topics import CALLS
from ringfence.ops.telemetry import Figures, Positions, Sample, catalog
from ringfence.ops.telemetry.lags import Lags
from switches.collector import Posted, Spooled, Ticked

TICKS_S = 20.0
"""Four ticks: without them nothing accrues and no hung call is closed."""


class Collector:
    """Told of each post, each tick, and at each tick of the spool."""

    def __init__(self, journal_dsn: str) -> None:
        self.figures, self.positions = Figures(), Positions()
        self._ends = Lags(journal_dsn, dict, (CALLS,))
        self._spooled = Spooled(0, 0, "")
        self._version: int | None = None
        self._ticked_s: float | None = None
        self.figures.add(catalog.RECEIVED, 0)
        self.figures.add(catalog.POSTS, 0, "200")
        self.figures.add(catalog.TICKS, 0)

    def report(self, value: object) -> None:
        match value:
            case Posted(status, records):
                self.figures.add(catalog.POSTS, 1, str(status))
                self.figures.add(catalog.RECEIVED, records)
            case Ticked(config_version):
                self._ticked_s, self._version = time.monotonic(), config_version
                self.figures.add(catalog.TICKS)
            case Spooled():
                self._spooled = value

    def look(self) -> Iterator[Sample]:
        yield Sample(catalog.SPOOL_BYTES, self._spooled.bytes)
        yield Sample(catalog.SPOOL_RECORDS, self._spooled.waiting)
        if self._version is not None:
            yield Sample(catalog.CONFIG, self._version)
        yield from self._ends.samples()

    def why_not(self) -> str:
        if self._spooled.waiting:
            return f"the journal is away, {self._spooled.waiting:,} entries wait in the spool: {self._spooled.why}"
        if self._ticked_s is None:
            return f"the first tick is not written yet {self._spooled.why}".rstrip()
        silent_s = time.monotonic() - self._ticked_s
        return f"no tick was written for {silent_s:.0f} s {self._spooled.why}".rstrip() if silent_s > TICKS_S else ""
