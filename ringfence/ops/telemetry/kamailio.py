"""Metrics and readiness of a Kamailio that the part `kamailio` runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from ringfence.ops.telemetry import Part, Sample, age_s, catalog

SILENT_S = 10.0


class Answered(NamedTuple):
    """Kamailio has answered OPTIONS."""


class Kamailio(Part):
    """The part reports each answer."""

    def __init__(self) -> None:
        super().__init__()
        self._answered_s: float | None = None

    def report(self, value: object) -> None:
        match value:
            case Answered():
                self._answered_s = time.monotonic()

    def samples(self) -> Iterator[Sample]:
        yield Sample(catalog.SIP_AGE, age_s(self._answered_s))

    def not_ready_reason(self) -> str:
        silent_s = age_s(self._answered_s)
        if silent_s < 0:
            return "it has not answered OPTIONS yet"
        return f"it has not answered OPTIONS for {silent_s:.0f} s" if silent_s > SILENT_S else ""
