"""Metrics and readiness of the router."""

from __future__ import annotations

from ringfence.ops.telemetry import Part, catalog


class Router(Part):
    """The router reports each round: rows that became due, by switch."""

    def report(self, value: object) -> None:
        match value:
            case dict():
                for switch, rows in value.items():
                    self.metrics.add(catalog.ROUTES_CHANGED, rows, switch)
