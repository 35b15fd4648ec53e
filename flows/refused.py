"""What orders would have refused: the calls of a replay that began while an order against them was in force, by the detector that ordered it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import polars as pl

from core.orders import EVERYONE, BlockOrder


class Refused(msgspec.Struct):
    """Of one detector: its alerts, and the calls and money (nanos by currency) that its orders would have refused."""

    alerts: int = 0
    calls: int = 0
    nanos: dict[str, int] = {}


@dataclass
class Tally:
    """The orders so far by tenant and account, with their detector, and what each detector's would have refused."""

    orders: dict[tuple[str, str], list[tuple[BlockOrder, str]]] = field(default_factory=dict)
    of: dict[str, Refused] = field(default_factory=dict)

    def order(self, orders: Iterable[BlockOrder], detector_of: Mapping[str, str]) -> None:
        """Add orders. `detector_of`: of a finding's id."""
        for order in orders:
            if not order.ask:
                self.orders.setdefault((order.key.tenant, order.key.account), []).append((order, detector_of.get(order.finding_id, "")))

    def count(self, calls: pl.DataFrame) -> None:
        """Add what the orders would have refused of ended calls (`rating.priced`), which came after them. A call without its setup began with
        its answer; the order that was issued first counts."""
        if not self.orders:
            return
        by = ("tenant", "account", "setup_ms", "answer_ms", "a_number", "b_number", "sell_nanos", "sell_currency")
        for tenant, account, setup_ms, answer_ms, a_number, b_number, nanos, currency in calls.select(by).iter_rows():
            began_ms = setup_ms or answer_ms or 0
            for order, detector in (*self.orders.get((tenant, account), ()), *self.orders.get((tenant, EVERYONE), ())):
                key = order.key
                in_force = order.created_at_ms <= began_ms < order.expires_at_ms
                if in_force and key.a_number in ("", a_number) and b_number.startswith(key.b_range):
                    refused = self.of.setdefault(detector, Refused())
                    refused.calls += 1
                    if nanos and currency:
                        refused.nanos[currency] = refused.nanos.get(currency, 0) + nanos
                    break
