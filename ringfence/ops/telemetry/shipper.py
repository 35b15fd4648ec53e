"""Metrics and readiness of the shipper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ringfence.ops.telemetry import Part, Sample, because, catalog
from switches.shipper import Failed, Forged, Shipped
from switches.tail import backlog_bytes

BEHIND_S = 30.0
"""With more, records reach judge late."""


class Shipper(Part):
    """The shipper reports each post. `home`: the spool; `log`: the switch's log; both are checked for undelivered records."""

    def __init__(self, home: Path, log: Path, clock: Callable[[], int]) -> None:
        super().__init__()
        self._home, self._log, self._clock = home, log, clock
        self._complete_to_ms: int | None = None
        self._why = "nothing has been delivered yet"
        for metric in (catalog.SHIPPED, catalog.SHIP_FAILURES, catalog.SWITCH_LOG, catalog.FORGED):
            self.metrics.add(metric, 0)

    def report(self, value: object) -> None:
        match value:
            case Shipped(records, from_log, complete_to_ms):
                self.metrics.add(catalog.SHIPPED, records)
                self.metrics.add(catalog.SWITCH_LOG, from_log)
                self._complete_to_ms = complete_to_ms or self._complete_to_ms
                self._why = ""
            case Forged(lines):
                self.metrics.add(catalog.FORGED, lines)
            case Failed(why):
                self.metrics.add(catalog.SHIP_FAILURES)
                self._why = why

    def _behind_s(self) -> float:
        return -1.0 if self._complete_to_ms is None else max(0.0, self._clock() - self._complete_to_ms) / 1000

    def samples(self) -> Iterator[Sample]:
        yield Sample(catalog.BACKLOG_AGE, self._behind_s())
        yield Sample(catalog.BACKLOG_BYTES, backlog_bytes(self._home, self._log))

    def not_ready_reason(self) -> str:
        behind_s = self._behind_s()
        if behind_s < 0:
            return self._why or "the spool's end has not been reached yet"
        return f"delivered only up to {behind_s:.0f} s ago{because(self._why)}" if behind_s > BEHIND_S else ""
