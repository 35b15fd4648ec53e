"""The router: from the config in force, the durations of calls and the standings of carriers to the routes that each switch should hold.

One round, in this order; a crash anywhere leaves rows that the next round finds again, since it compares with the books:

1. read      the newest config version, which switches carry whose calls, how carriers do
2. compile   what changed: a view's money when its config, durations or windows did, its order when only the carriers' standing did
3. routes    rows that differ are due, in parts, so that orders are written to the books in between
4. plans     a view's plan comes behind its routes: a switch does not use a view whose plan it does not have

The dispatcher delivers them, as every table. Nothing here is asked when a call is routed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import structlog

from books import Engine, configs, deliveries, reading, switches, writing
from core.config import Account, RoutePlan, plans_of
from rating.contracts import Terms
from rating.routes.durations import Durations
from rating.routes.live import Live
from rating.routes.table import Prepared, Table, arrange, prepare
from rating.routes.view import View, view_of
from switches.routes import plan_row, routes_of, view_of_account

log = structlog.get_logger(__name__)

CHUNK = 500
"""Rows in one transaction."""
WINDOW_MS = 60_000
"""Windows and dated rows are looked at so often."""
DURATIONS_MS = 3_600_000


@dataclass
class Router:
    """What a router remembers from one round to the next."""

    engine: Engine
    terms_of: Callable[[int], Terms]
    durations_of: Callable[[str, int], Durations]
    live_of: Callable[[str], Live]
    fault: Callable[[str], None] = lambda step: None
    _durations: dict[str, tuple[int, Durations]] = field(default_factory=dict)
    _prepared: dict[str, tuple[object, Prepared]] = field(default_factory=dict)
    _arranged: dict[str, tuple[object, dict[str, str]]] = field(default_factory=dict)
    _wanted: dict[str, object] = field(default_factory=dict)

    def round(self, now_ms: int) -> dict[str, int]:
        """Rows that became due, by switch."""
        with reading(self.engine) as conn:
            version = configs.latest(conn)
            carried = {one.name: sorted(switches.tenants_of(conn, one.name)) for one in switches.every(conn)}
        if not version:
            return {}
        terms = self.terms_of(version)
        found: dict[str, int] = {}
        known = views(terms)
        made = {name: self._rows(name, terms, account, now_ms) for name, (account, _) in known.items()}
        for gone in self._prepared.keys() - known.keys():
            del self._prepared[gone], self._arranged[gone]
        for switch, tenants in carried.items():
            mine = {name: made[name] for name, (account, _) in known.items() if account.tenant in tenants}
            key = {name: key for name, (key, _) in mine.items()}
            if self._wanted.get(switch) == key:
                continue
            plans = {name: plan_row(plan, weights(terms, plan)) for name, (account, plan) in known.items() if account.tenant in tenants}
            routes = {name: value for _, rows in mine.values() for name, value in rows.items()}
            changed = self._want(switch, deliveries.ROUTES, routes, now_ms)
            self.fault("routes")
            changed += self._want(switch, deliveries.ROUTE_PLANS, plans, now_ms)
            self._wanted[switch] = key
            if changed:
                log.info("the routes that the switch should hold have changed", switch=switch, rows=changed, version=version)
            found[switch] = changed
        return found

    def _want(self, switch: str, table: str, rows: Mapping[str, str], now_ms: int) -> int:
        with reading(self.engine) as conn:
            changed = deliveries.differences(conn, switch, table, rows)
        for some in _chunks(changed):
            with writing(self.engine) as conn:
                deliveries.change(conn, switch, table, some, now_ms)
            self.fault("some")
        return len(changed)

    def _rows(self, name: str, terms: Terms, account: Account, now_ms: int) -> tuple[object, dict[str, str]]:
        """A view's rows, and what they were made of."""
        tenant = account.tenant
        durations = self._durations_of(tenant, now_ms)
        made_of = (id(terms), id(durations), now_ms // WINDOW_MS if changes_with_time(terms, tenant, account.route_plan) else 0)
        old = self._prepared.get(name)
        if old is None or old[0] != made_of:
            found = view_of(terms, tenant, account.name, now_ms)
            assert isinstance(found, View), found  # its accounts name a plan that exists
            self._prepared[name] = made_of, prepare(found, durations)
        live = self.live_of(tenant)
        key = (made_of, live)
        done = self._arranged.get(name)
        if done is None or done[0] != key:
            table: Table = arrange(self._prepared[name][1], live)
            done = self._arranged[name] = key, routes_of(name, table)
        return done

    def _durations_of(self, tenant: str, now_ms: int) -> Durations:
        read_ms, known = self._durations.get(tenant, (-DURATIONS_MS, Durations()))
        if now_ms - read_ms >= DURATIONS_MS:
            self._durations[tenant] = now_ms, self.durations_of(tenant, now_ms)
        return self._durations.get(tenant, (0, known))[1]


def views(terms: Terms) -> dict[str, tuple[Account, RoutePlan]]:
    """Each view that an account of a version has, by its name, with one of its accounts and its plan."""
    found: dict[str, tuple[Account, RoutePlan]] = {}
    accounts = terms.rows["accounts"]
    for key in accounts:
        account: Account = accounts[key]
        if account.route_plan and (name := view_of_account(account, terms.find)) and name not in found:
            found[name] = account, terms.find("route_plans", account.tenant, account.route_plan)
    return found


def changes_with_time(terms: Terms, tenant: str, plan: str) -> bool:
    """Whether windows of a plan, or dates and windows of decks, change routes while the config stays."""
    if any(rule.window for one in plans_of(terms.find("route_plans", tenant, plan), terms.find) for rule in one.rules):
        return True
    if any(deck.is_dated or deck.clock_s is not None for deck in terms.decks):
        return True
    return any(span.from_at_ms or span.until_at_ms for key in terms.rows["agreements"] for span in terms.rows["agreements"][key].plan)


def weights(terms: Terms, plan: RoutePlan) -> Iterator[tuple[str, int]]:
    """The weight of each gateway of a plan."""
    by_carrier = {one.carrier: one.weight for one in plan.carriers}
    for tenant, name in terms.trunks:
        trunk = terms.trunks[tenant, name]
        if tenant == plan.tenant and trunk.carrier and trunk.address:
            yield name, by_carrier.get(trunk.carrier, 0 if plan.carriers else 1)


def _chunks(changed: Mapping[str, str]) -> Iterator[dict[str, str]]:
    left = iter(changed.items())
    while some := dict(islice(left, CHUNK)):
        yield some
