"""Metrics and readiness of the poster."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ringfence.ops.telemetry import Part, Sample, age_s, catalog
from services.keep_posting import Round


class Poster(Part):
    """The poster reports each round. It is not ready while charges cannot be posted."""

    def __init__(self) -> None:
        super().__init__()
        self._fault, self._over = "", 0
        self._complete_s: float | None = None
        self.metrics.add(catalog.POSTED, 0)  # it is shown before the first round

    def report(self, value: object) -> None:
        match value:
            case Round(posted, fault, elsewhere, over):
                self._fault = fault
                if not fault and not elsewhere:
                    self._complete_s = time.monotonic()
                self._over = over if not fault and not elsewhere else self._over
                self.metrics.add(catalog.POSTED, sum(one.charges for one in posted))

    def samples(self) -> Iterator[Sample]:
        yield Sample(catalog.POSTING_AGE, age_s(self._complete_s))
        yield Sample(catalog.OVER_CREDIT, self._over)

    def not_ready_reason(self) -> str:
        return f"charges are not posted: {self._fault}" if self._fault else ""
