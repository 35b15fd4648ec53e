"""What became of every record: received, and the six dispositions whose sum it is.

A day is counted again only when something was inserted into it, so that all time costs what today costs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.warehouse_client import WarehouseClient
from warehouse import queries

SIX = {
    "rated": "rated",
    "event": "events",
    "unrated": "unrated",
    "reject": "rejected",
    "duplicate": "duplicates",
    "conflict": "conflicts",
}
"""As the warehouse spells them, and as people read them."""
BUDGET_S = 0.5
"""Of counting at one turn: a long past is counted over several, the newest day first."""

Counts = Mapping[tuple[str, str], int]
"""(tenant, disposition) -> records"""


@dataclass(frozen=True)
class Totals:
    """`counted` of `days` were counted so far: before that it is not all time yet."""

    by_tenant: Counts
    counted: int
    days: int

    def of(self, tenant: str = "") -> dict[str, int]:
        """Disposition -> records, of one tenant or all; what is none of the six is under its own name.

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
    """Received, the sum of the six, and whether they are equal. Where they are not, records have a fate that has no name."""

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


class Count:
    """Counts days, and keeps them."""

    def __init__(self, line: WarehouseClient) -> None:
        self._line = line
        self._kept: dict[str, tuple[int, Counts]] = {}  # day -> its mark, and what was counted then

    def ask(self) -> Totals:
        days = {row["day"]: row["mark"] for row in self._line.ask(queries.days())}
        self._kept = {day: kept for day, kept in self._kept.items() if day in days}
        until_s = time.monotonic() + BUDGET_S
        for day, mark in days.items():
            if self._kept.get(day, (None,))[0] == mark:
                continue
            rows = self._line.ask(queries.dispositions_of_day(day))
            # The mark is from before the count: what came between is counted again.
            self._kept[day] = mark, {(row["tenant"], row["disposition"]): row["records"] for row in rows}
            if time.monotonic() > until_s:
                break
        sums: dict[tuple[str, str], int] = {}
        for _, counts in self._kept.values():
            for key, n in counts.items():
                sums[key] = sums.get(key, 0) + n
        return Totals(sums, len(self._kept), len(days))
