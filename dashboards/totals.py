"""Counts of all records by disposition.

A day is counted again only when rows were inserted into it, so counting all days costs as much as counting today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.warehouse_client import WarehouseClient
from services.by_day import ByDay
from services.subjects import Ask
from warehouse import queries

SIX = {
    "rated": "rated",
    "event": "events",
    "unrated": "unrated",
    "reject": "rejected",
    "duplicate": "duplicates",
    "conflict": "conflicts",
}
"""Disposition -> label for people."""
BUDGET_S = 0.5
"""Per query: a long history is counted over several queries, the newest day first."""

Counts = Mapping[tuple[str, str], int]
"""(tenant, disposition) -> records"""


@dataclass(frozen=True)
class Totals:
    """`counted` of `days` were counted so far."""

    by_tenant: Counts
    counted: int
    days: int

    def of(self, tenant: str = "") -> dict[str, int]:
        """Disposition -> records, of one tenant or all; an unknown disposition is under its own name.

        >>> Totals({("t1", "rated"): 2, ("t2", "rated"): 1, ("t1", "odd"): 1}, 1, 1).of("t1")
        {'rated': 2, 'event': 0, 'unrated': 0, 'reject': 0, 'duplicate': 0, 'conflict': 0, 'odd': 1}
        """
        found = dict.fromkeys(SIX, 0)
        for (name, disposition), n in self.by_tenant.items():
            if tenant in ("", name):
                found[disposition] = found.get(disposition, 0) + n
        return found


@dataclass(frozen=True)
class Check:
    """Received, and the sum of the six. If they differ, records have an unknown disposition."""

    received: int
    explained: int

    @property
    def holds(self) -> bool:
        return self.received == self.explained


def check(counts: Mapping[str, int]) -> Check:
    """
    >>> check({"rated": 2, "event": 3}), check({"rated": 2, "event": 3}).holds, check({"rated": 2, "odd": 1}).holds
    (Check(received=5, explained=5), True, False)
    """
    return Check(sum(counts.values()), sum(n for name, n in counts.items() if name in SIX))


class TotalsQuery:
    """Counts records per day and remembers the counts."""

    def __init__(self, client: WarehouseClient) -> None:
        self._client, self._days = client, ByDay("records", queries.dispositions_of_day)

    def prepare(self, ask: Ask, from_day: str, budget_s: float) -> bool:
        """Count further days for so long. Whether all since `from_day` are counted."""
        counted, days = self._days.of(ask, from_day, budget_s)
        return len(counted) == days

    def ask(self) -> Totals:
        counted, days = self._days.of(self._client.ask, budget_s=BUDGET_S)
        sums: dict[tuple[str, str], int] = {}
        for row in (row for rows in counted.values() for row in rows):
            key = row["tenant"], row["disposition"]
            sums[key] = sums.get(key, 0) + row["records"]
        return Totals(sums, len(counted), days)
