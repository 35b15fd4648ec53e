"""Metrics and readiness of the collector."""

from __future__ import annotations

import time
from collections.abc import Iterator

from core.topics import CALLS
from ringfence.ops.telemetry import Part, Sample, because, catalog
from ringfence.ops.telemetry.lags import Lags
from switches.collector import Posted, Spooled, Ticked

TICKS_S = 20.0
"""Four ticks: without them nothing accrues and no hung call is closed."""


class Collector(Part):
    """The collector reports each post, each tick, and the spool at each tick."""

    def __init__(self, journal_dsn: str) -> None:
        super().__init__()
        self._ends = Lags(journal_dsn, dict, (CALLS,))
        self._spooled = Spooled(0, 0, "")
        self._version: int | None = None
        self._ticked_s: float | None = None
        self.metrics.add(catalog.RECEIVED, 0)
        self.metrics.add(catalog.POSTS, 0, "200")
        self.metrics.add(catalog.TICKS, 0)

    def report(self, value: object) -> None:
        match value:
            case Posted(status, records):
                self.metrics.add(catalog.POSTS, 1, str(status))
                self.metrics.add(catalog.RECEIVED, records)
            case Ticked(config_version):
                self._ticked_s, self._version = time.monotonic(), config_version
                self.metrics.add(catalog.TICKS)
            case Spooled():
                self._spooled = value

    def samples(self) -> Iterator[Sample]:
        yield Sample(catalog.SPOOL_BYTES, self._spooled.bytes)
        yield Sample(catalog.SPOOL_RECORDS, self._spooled.waiting)
        if self._version is not None:
            yield Sample(catalog.CONFIG, self._version)
        yield from self._ends.samples()

    def not_ready_reason(self) -> str:
        if self._spooled.waiting:
            return f"the journal is down, {self._spooled.waiting:,} entries wait in the spool: {self._spooled.why}"
        if self._ticked_s is None:
            return "the first tick is not written yet" + because(self._spooled.why)
        silent_s = time.monotonic() - self._ticked_s
        return f"no tick was written for {silent_s:.0f} s{because(self._spooled.why)}" if silent_s > TICKS_S else ""
