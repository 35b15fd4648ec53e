"""What orders would have refused: the calls of a replay that began while an order against them was in force, by the detector that ordered it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import polars as pl

from core.admission import candidates, is_abroad
from core.numbers import DialPlan, Number
from core.orders import ACTIONS, EVERYONE, BlockOrder


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


class Issued(NamedTuple):
    """An order, its place among all, and who ordered it."""

    place: int
    order: BlockOrder
    detector: str


@dataclass
class Tally:
    """The orders so far by the entry that they have in a switch's table, with their detector, and what each detector's would have refused.

    Orders that wait for a person and those that only mark calls refuse nothing. `plan_of(tenant, trunk)`: what is abroad, as the switch decides it.
    """

    plan_of: Callable[[str, str], DialPlan]
    orders: dict[str, list[Issued]] = field(default_factory=dict)
    of: dict[str, Refused] = field(default_factory=dict)
    _subjects: set[tuple[str, str, str]] = field(default_factory=set)  # tenant, account, trunk of the orders: other calls meet none
    _issued: int = 0
    _last: dict[tuple[str, str], int] = field(default_factory=dict)  # place of the last order of an entry for a finding
    _throttled: Counter[tuple[str, int]] = field(default_factory=Counter)  # entry, minute -> calls that a throttle has let pass or refused

    def order(self, orders: Iterable[BlockOrder], detector_of: Mapping[str, str]) -> None:
        """Add orders. `detector_of`: of a finding's id."""
        for order in orders:
            if order.ask or order.action == "shadow":
                continue
            entry = order.key.entry()
            mine = self.orders.setdefault(entry, [])
            self._subjects.add((order.key.tenant, order.key.account, order.key.ingress_trunk))
            at = self._last.get((entry, order.finding_id))
            if at is not None and order.created_at_ms <= mine[at].order.expires_at_ms:  # issued again, each minute: the same order goes on
                longer = msgspec.structs.replace(mine[at].order, expires_at_ms=max(mine[at].order.expires_at_ms, order.expires_at_ms))
                mine[at] = mine[at]._replace(order=longer)
                continue
            self._last[entry, order.finding_id] = len(mine)
            mine.append(Issued(self._issued, order, detector_of.get(order.finding_id, "")))
            self._issued += 1

    def count(self, calls: pl.DataFrame) -> None:
        """Add what the orders would have refused of ended calls (`rating.priced`), which came after them."""
        for one in self.would_refuse(calls):
            refused = self.of.setdefault(one.detector, Refused())
            refused.calls += 1
            if one.nanos and one.currency:
                refused.nanos[one.currency] = refused.nanos.get(one.currency, 0) + one.nanos

    def would_refuse(self, calls: pl.DataFrame) -> Iterator[RefusedCall]:
        """The calls that an order would have refused. A call without its setup began with its answer. The entries are looked up as a switch does
        it (`core.admission.candidates`), each with its strongest order in force. Of several that refuse a call the one that was issued first
        counts. A throttle counts calls in the order in which they ended: which of a minute's calls it refuses may differ, not how many."""
        if not self.orders:
            return
        by = (
            "tenant", "account", "ingress_trunk", "setup_ms", "answer_ms", "a_number", "b_number", "b_kind", "sell_nanos", "sell_currency",
        )  # fmt: skip
        for tenant, account, trunk, setup_ms, answer_ms, a_number, b_number, b_kind, nanos, currency in calls.select(by).iter_rows():
            began_ms = setup_ms or answer_ms or 0
            if found := self.refusing(tenant, account, trunk, began_ms, a_number, Number(b_number, b_kind)):
                yield RefusedCall(found.detector, found.order.finding_id, tenant, account, a_number, b_number, began_ms, nanos or 0, currency)

    def refusing(self, tenant: str, account: str, trunk: str, began_ms: int, a_number: str, b: Number) -> Issued | None:
        """The order that refuses a call, as in `would_refuse`; None = the call passes."""
        if self._subjects.isdisjoint(((tenant, account, ""), (tenant, EVERYONE, ""), (tenant, "", trunk))):
            return None
        plan, refusing = self.plan_of(tenant, trunk), list[Issued]()
        for entry in candidates(tenant, account, trunk, (a_number,) if a_number else (), (b.digits,)):
            found = self._in_force(entry, began_ms)
            if found and not (refusing and found.order.action == "throttle") and self._refuses(found.order, entry, began_ms, b, plan):
                refusing.append(found)
        return min(refusing, default=None)

    def _in_force(self, entry: str, at_ms: int) -> Issued | None:
        live = (one for one in self.orders.get(entry, ()) if one.order.created_at_ms <= at_ms < one.order.expires_at_ms)
        return min(live, key=lambda one: ACTIONS.index(one.order.action), default=None)

    def _refuses(self, order: BlockOrder, entry: str, began_ms: int, b: Number, plan: DialPlan) -> bool:
        if order.action == "refuse_abroad":
            return is_abroad(b, plan)
        if order.action == "throttle":
            minute = entry, began_ms // 60_000
            self._throttled[minute] += 1
            return self._throttled[minute] > order.calls_a_minute
        return True
