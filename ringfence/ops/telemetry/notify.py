"""Metrics of the notifier."""

from __future__ import annotations

from ringfence.ops.telemetry import Part, catalog
from services.notifying.rounds import Round


class Notify(Part):
    """The notifier reports each round."""

    def __init__(self) -> None:
        super().__init__()
        for result in ("sent", "failed"):
            self.metrics.add(catalog.NOTICES, 0, result)  # it is shown before the first round

    def report(self, value: object) -> None:
        match value:
            case Round():
                self.metrics.add(catalog.NOTICES, value.sent, "sent")
                self.metrics.add(catalog.NOTICES, value.failed, "failed")
