"""Routes and verdicts for switches that ask: from memory, in microseconds.

A view's table is compiled when it is first asked for or has changed, in another thread; until then, and for a caller whose price depends on
the origin, the scalar choice answers, in milliseconds.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from books import Engine, configs, deliveries, reading
from core.admission import Admission, Invite, Rates, admit, in_force
from core.config import Account, Portability, RoutePlan, Trunk
from core.numbers import DialPlan
from rating.contracts import Terms
from rating.deck import Call
from rating.routes.choose import choose, drawn
from rating.routes.durations import Durations
from rating.routes.live import Live
from rating.routes.table import DENIED, NO_ROUTE, OPEN, Table, compile_table
from rating.routes.view import Entry, View, view_of
from services.portability.dip import Answer, Cached
from services.portability.sources import source
from services.routes import digits_of
from services.routing import WINDOW_MS, changes_with_time
from switches.routes import view_of_account


class AskedRoute(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/route`. Numbers as people write them, with their country code."""

    account: str
    b_number: str
    a_number: str = ""
    lrn: str = ""  # known already: nobody is asked
    tenant: str = ""


class Hop(msgspec.Struct, frozen=True):
    """A gateway of an answer, in the order in which it is tried."""

    rank: int
    gateway: str
    carrier: str
    address: str
    number: str  # to send there


class Answered(msgspec.Struct, frozen=True):
    """`cause`: "" = there is a route; denied, no_route, portability, no_plan."""

    routes: tuple[Hop, ...]
    cause: str = ""
    why: str = ""
    lrn: str = ""
    view: str = ""
    note: str = ""  # of portability: why it is not known


class AskedScreen(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/screen`: a call as the switch authenticated it, numbers as they were dialled."""

    account: str = ""
    trunk: str = ""
    a_raw: str = ""
    b_raw: str
    tenant: str = ""


class Screened(msgspec.Struct, frozen=True):
    """`code` 0 = the call passes, else the SIP code of the refusal; `number`: what is sent instead of what was dialled."""

    code: int
    order_id: str = ""
    number: str = ""


@dataclass(eq=False)
class Asking:
    """What is known in memory. `refresh` reads it anew; the answers are for any thread."""

    engine: Engine
    terms_of: Callable[[int], Terms]
    durations_of: Callable[[str, int], Durations]
    live_of: Callable[[str], Live]
    state_dir: Path
    clock: Callable[[], int]
    chance: Callable[[], float] = random.random
    _terms: Terms | None = None
    _tables: dict[str, tuple[object, Table]] = field(default_factory=dict)
    _building: set[str] = field(default_factory=set)
    _rates: Rates = field(default_factory=lambda: Rates(time.time))
    _sources: dict[tuple[str, str], Cached] = field(default_factory=dict)
    _rows: dict[str, tuple[float, Mapping[tuple[str, str], str]]] = field(default_factory=dict)
    _durations: dict[str, Durations] = field(default_factory=dict)

    def refresh(self) -> bool:
        """Reads the newest config; whether there is one."""
        with reading(self.engine) as conn:
            version = configs.latest(conn)
        if version and (self._terms is None or self._terms.version != version):
            self._terms = self.terms_of(version)
        return self._terms is not None

    @property
    def terms(self) -> Terms | None:
        """The config that answers; None = nothing was published yet."""
        return self._terms

    # --- routes ---

    def lrn_of(self, tenant: str, asked: AskedRoute) -> Cached | None:
        """Who knows whether the number was ported; None = nobody has to be asked."""
        terms = self._terms
        plan = _plan(terms, tenant, asked.account) if terms else None
        if terms is None or plan is None or not plan.portability or asked.lrn:
            return None
        key = tenant, plan.portability
        row: Portability = terms.find("portability", *key)
        known = self._sources.get(key)
        if known is None or known.row != row:
            known = self._sources[key] = source(row, self.state_dir)
        return known

    def route(self, tenant: str, asked: AskedRoute, ported: Answer = Answer()) -> Answered:
        """The gateways of a call. `ported`: what `lrn_of` answered."""
        terms = self._terms
        if terms is None:
            return Answered((), "no_plan", "nothing was published yet")
        plan = _plan(terms, tenant, asked.account)
        if plan is None:
            return Answered((), "no_plan", f"account {asked.account!r} is not known, or has no route plan")
        number, lrn = digits_of(asked.b_number), digits_of(asked.lrn) or asked.lrn or ported.lrn
        if not number:
            return Answered((), "no_route", f"{asked.b_number!r} is no number with a country code")
        if ported.closed:
            return Answered((), "portability", ported.failed, note=ported.failed)
        name = view_of_account(terms.find("accounts", tenant, asked.account), terms.find)
        table = self._table(name, terms, tenant, asked.account, plan)
        live = self.live_of(tenant)
        if table is None or (asked.a_number and _asks_origin(table.view)):
            return self._chosen(terms, tenant, asked, number, lrn, live, name, ported.failed)
        entries, outcome = table.find_one(number)
        if lrn and outcome != DENIED:
            entries, outcome = table.find_one(lrn)
        entries = [entry for entry in entries if not _passed_over(entry, live)]
        if outcome != OPEN or not entries:
            cause = "denied" if outcome == DENIED else "no_route"
            why = "the lists of the route plan deny the number" if outcome == DENIED else "no gateway can carry calls to the number"
            return Answered((), cause, why, lrn, name, ported.failed)
        assert outcome != NO_ROUTE
        lead = drawn(plan, [entry.weight for entry in entries], self.chance())
        entries.insert(0, entries.pop(lead))
        return Answered(_hops(terms, tenant, entries, number), "", "", lrn, name, ported.failed)

    def _chosen(
        self, terms: Terms, tenant: str, asked: AskedRoute, number: str, lrn: str, live: Live, name: str, note: str
    ) -> Answered:
        view = view_of(terms, tenant, asked.account, self.clock())
        if isinstance(view, str):
            return Answered((), "no_plan", view)
        choice = choose(view, Call(number, digits_of(asked.a_number), lrn), live, self._durations_of(tenant), self.chance())
        hops = _hops(terms, tenant, [one.entry for one in choice.routes], number)
        return Answered(hops, choice.cause, choice.why, lrn, name, note)

    def _table(self, name: str, terms: Terms, tenant: str, account: str, plan: RoutePlan) -> Table | None:
        """The newest table of a view; where it is not the newest any more, another one is on its way."""
        now_ms = self.clock()
        made_of = id(terms), now_ms // WINDOW_MS if changes_with_time(terms, tenant, plan.name) else 0, self.live_of(tenant).standings
        known = self._tables.get(name)
        if (known is None or known[0] != made_of) and name not in self._building:
            self._building.add(name)
            threading.Thread(target=self._build, args=(name, made_of, terms, tenant, account), name="table", daemon=True).start()
        # A table of another config is not used: its gateways may be gone.
        return known[1] if known is not None and known[0][0] == id(terms) else None  # type: ignore[index]

    def _build(self, name: str, made_of: object, terms: Terms, tenant: str, account: str) -> None:
        try:
            view = view_of(terms, tenant, account, self.clock())
            if isinstance(view, View):
                self._tables[name] = made_of, compile_table(view, self.live_of(tenant)._replace(down={}), self._durations_of(tenant))
        finally:
            self._building.discard(name)

    def _durations_of(self, tenant: str) -> Durations:
        if tenant not in self._durations:
            self._durations[tenant] = self.durations_of(tenant, self.clock())
        return self._durations[tenant]

    # --- screening ---

    def screen(self, switch: str, tenant: str, asked: AskedScreen) -> Screened:
        """Whether a switch may let a call pass, by the rows that it should hold itself."""
        terms = self._terms
        trunk: Trunk = (terms.find("trunks", tenant, asked.trunk) if terms else None) or Trunk(tenant=tenant, name=asked.trunk)
        plan = terms.plan_of(tenant, asked.trunk) if terms else DialPlan()
        rows = self._rows_of(switch)
        invite = Invite(tenant, asked.account, asked.trunk, asked.a_raw, asked.b_raw, trunk.caller_ranges, trunk.accept_unreadable)
        found: Admission = admit(invite, plan, lambda table, key: rows.get((table, key), ""), over=self._rates.over)
        return Screened(found.code, found.order_id, found.number)

    def _rows_of(self, switch: str) -> Mapping[tuple[str, str], str]:
        """The rows that decide, at most half a second old."""
        now_ms = self.clock()
        read_ms, rows = self._rows.get(switch, (-1e12, {}))
        if now_ms - read_ms > 500:
            tables = deliveries.BLOCKS, deliveries.SHADOW, deliveries.PROTECTED, deliveries.LISTS
            with reading(self.engine) as conn:
                rows = {
                    (table, name): value
                    for table in tables
                    for name, value, until_ms, _ in deliveries.rows(conn, switch, table)
                    if value and (not until_ms or until_ms > now_ms) and (table != deliveries.LISTS or in_force(value, now_ms / 1000))
                }
            self._rows[switch] = now_ms, rows
        return rows


def _plan(terms: Terms, tenant: str, account: str) -> RoutePlan | None:
    row: Account | None = terms.find("accounts", tenant, account)
    found: RoutePlan | None = terms.find("route_plans", tenant, row.route_plan) if row and row.route_plan else None
    return found


def _passed_over(entry: Entry, live: Live) -> bool:
    if entry.gateway in live.down or entry.carrier in live.denied:
        return True
    return entry.capacity_calls is not None and live.busy.get(entry.gateway, 0) >= entry.capacity_calls


def _asks_origin(view: View) -> bool:
    """Whether a price of the view depends on the caller."""
    decks = [offer.deck for offer in (view.sell, *(entry.offer for entry in view.entries)) if offer]
    return any(deck.condition is not None and (deck.columns.asks_origin or deck.columns.asks_jurisdiction) for deck in decks)


def _hops(terms: Terms, tenant: str, entries: list[Entry], number: str) -> tuple[Hop, ...]:
    found = []
    for rank, entry in enumerate(entries, 1):
        trunk: Any = terms.trunks[tenant, entry.gateway]
        found.append(Hop(rank, entry.gateway, entry.carrier, trunk.address, trunk.prefix + number))
    return tuple(found)
