"""What orders would have refused: the calls of a replay that began while an order against them was in force, by the detector that ordered it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import polars as pl

from core.orders import EVERYONE, BlockOrder, Key


class Refused(msgspec.Struct):
    """Of one detector: its alerts, and the calls and money (nanos by currency) that its orders would have refused."""

    alerts: int = 0
    calls: int = 0
    nanos: dict[str, int] = {}


class RefusedCall(NamedTuple):
    """A call, and the order that would have refused it."""

    detector: str
    finding_id: str
    tenant: str
    account: str
    a_number: str
    b_number: str
    began_ms: int
    nanos: int
    currency: str


@dataclass
class Tally:
    """The orders so far by tenant and account, with their detector, and what each detector's would have refused."""

    orders: dict[tuple[str, str], list[tuple[BlockOrder, str]]] = field(default_factory=dict)
    of: dict[str, Refused] = field(default_factory=dict)
    _last: dict[tuple[Key, str], int] = field(default_factory=dict)  # place of the last order of a key for a finding

    def order(self, orders: Iterable[BlockOrder], detector_of: Mapping[str, str]) -> None:
        """Add orders. `detector_of`: of a finding's id."""
        for order in orders:
            if order.ask:
                continue
            mine = self.orders.setdefault((order.key.tenant, order.key.account), [])
            at = self._last.get((order.key, order.finding_id))
            if at is not None and order.created_at_ms <= mine[at][0].expires_at_ms:  # issued again, each minute: the same order goes on
                mine[at] = msgspec.structs.replace(mine[at][0], expires_at_ms=max(mine[at][0].expires_at_ms, order.expires_at_ms)), mine[at][1]
                continue
            self._last[order.key, order.finding_id] = len(mine)
            mine.append((order, detector_of.get(order.finding_id, "")))

    def count(self, calls: pl.DataFrame) -> None:
        """Add what the orders would have refused of ended calls (`rating.priced`), which came after them."""
        for one in self.would_refuse(calls):
            refused = self.of.setdefault(one.detector, Refused())
            refused.calls += 1
            if one.nanos and one.currency:
                refused.nanos[one.currency] = refused.nanos.get(one.currency, 0) + one.nanos

    def would_refuse(self, calls: pl.DataFrame) -> Iterator[RefusedCall]:
        """The calls that an order would have refused. A call without its setup began with its answer; the order that was issued first counts."""
        if not self.orders:
            return
        by = ("tenant", "account", "setup_ms", "answer_ms", "a_number", "b_number", "sell_nanos", "sell_currency")
        for tenant, account, setup_ms, answer_ms, a_number, b_number, nanos, currency in calls.select(by).iter_rows():
            began_ms = setup_ms or answer_ms or 0
            for order, detector in (*self.orders.get((tenant, account), ()), *self.orders.get((tenant, EVERYONE), ())):
                key = order.key
                in_force = order.created_at_ms <= began_ms < order.expires_at_ms
                if in_force and key.a_number in ("", a_number) and b_number.startswith(key.b_range):
                    yield RefusedCall(detector, order.finding_id, tenant, account, a_number, b_number, began_ms, nanos or 0, currency)
                    break
