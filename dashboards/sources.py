"""The queries of the page, each in a thread of its own: one that is not answered only ages its own data.

Shared by all viewers and keyed by tenant: a tenant's page never shows another tenant's answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from books import Engine, open_books, reading, tenants
from books.users import User
from core.clock import wall_clock_ms
from dashboards import books_view
from dashboards.asked import FRESH_MS, Asked
from dashboards.auth import host_of
from dashboards.books_view import BooksView
from dashboards.lag import Lag, LagQuery
from dashboards.page_settings import PageSettings
from dashboards.polled import Latest, Polled
from dashboards.totals import Totals, TotalsQuery
from dashboards.traffic import Traffic, TrafficQuery
from dashboards.warehouse_client import WarehouseClient
from rating.contracts import Terms
from services import people, portal, waterfall
from services.in_force import from_books
from services.installation import Installation
from services.invoice_pdf import Style
from services.part_health import Health, Part
from services.subjects import DAY_MS, Ask
from warehouse import Query

Value = TypeVar("Value")

EVERY_S = 2.0
LIVE_EVERY_S = 1.0
"""The wall is drawn so often, and asks so often for what it shows: together about two seconds of age at most."""
TOTALS_EVERY_S, TOTALS_SHARE = 10.0, 0.1
"""Counting a large day takes seconds: it is counted again after nine times as long."""
FIRST_WAIT_S = 0.6
"""How long the first view waits for data: better a moment later than empty."""
ASKED_WAIT_S, ASKED_TIMEOUT_S = 1.5, 30.0
STYLE_MS = 10_000
PREPARE_S, PREPARED_MS = 1.0, 62 * DAY_MS
DIRECTORY_WAIT_S = 3.0
"""The first view of a user waits for the roles."""


class Directory(NamedTuple):
    """Who may sign in, and the tenants that there are."""

    users: Mapping[str, User]
    tenants: tuple[str, ...]


class Sources:
    """One per process. `clock` returns epoch milliseconds; `cookie` the session's cookie of the browser whose script runs."""

    def __init__(self, settings: PageSettings, clock: Callable[[], int] = wall_clock_ms, cookie: Callable[[], str] | None = None) -> None:
        self.settings, self.clock = settings, clock
        self.cookie = cookie or self._cookie
        self.host: Callable[[], str] = self._host
        self._asked, self._own = Asked(clock), threading.local()
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._compiling = threading.Lock()
        self._terms: Callable[[int], Terms] | None = None
        self._styles: dict[str, tuple[int, Style | None]] = {}
        self._health = Health(settings.parts)
        self._traffic: dict[str, Polled[Traffic]] = {}
        self._books: dict[str, Polled[BooksView]] = {}
        self.recorded, self._closed = waterfall.Recorded(), threading.Event()
        self._counts = TotalsQuery(WarehouseClient(settings.warehouse, timeout_s=60))
        lag = LagQuery(WarehouseClient(settings.warehouse), settings.journal)
        self._totals: Polled[Totals] = Polled("totals", self._counts.ask, clock, TOTALS_EVERY_S, TOTALS_SHARE)
        self._lag: Polled[Lag] = Polled("lag", lambda: lag.ask(clock()), clock, EVERY_S)
        self._directory: Polled[Directory] = Polled("directory", self._people, clock, EVERY_S)
        self._parts: Polled[list[Part]] = Polled("parts", self._health.ask, clock, EVERY_S)

    def engine(self) -> Engine:
        """The books, for a person's action."""
        with self._lock:
            self._engine = self._engine or open_books(self.settings.books)
            return self._engine

    def check_password(self, name: str, password: str) -> bool:
        """Whether a password is a user's. Raises `Unavailable`."""
        return people.sign_in(self.engine(), name, password, self.clock())

    def check_elsewhere(self, name: str) -> bool:
        """Whether somebody whom the OpenID provider has signed in is a user. Raises `Unavailable`."""
        provider = self.settings.oidc
        return provider is not None and people.sign_in_elsewhere(self.engine(), name, provider.issuer, self.clock())

    def directory(self) -> Latest[Directory]:
        """Users and tenants, at most some seconds old."""
        return self._directory.latest(DIRECTORY_WAIT_S)

    def traffic(self, tenant: str) -> Latest[Traffic]:
        return self._of(self._traffic, tenant, self._watch).latest()

    def books(self, tenant: str) -> Latest[BooksView]:
        return self._of(self._books, tenant, self._read).latest()

    def refresh_books(self, tenant: str) -> None:
        """After a person's action: read the books again, so that the page shows it."""
        self._of(self._books, tenant, self._read).renew(2.0)

    def asked(
        self, key: tuple[Hashable, ...], question: Callable[[Ask], Value], wait_s: float = ASKED_WAIT_S, fresh_ms: int = FRESH_MS
    ) -> Latest[Value]:
        """The answer of a question with arguments. `key`: the question, the tenant, the arguments."""
        return self._asked.of(key, lambda: question(self.ask), wait_s, fresh_ms)

    def forget(self, *key: Hashable) -> None:
        """After a change: answers whose key begins so are asked for again."""
        self._asked.forget(*key)

    def ask(self, query: Query) -> list[dict[str, Any]]:
        """Run a query of the warehouse in this thread, with a client of its own. Raises `WarehouseError`."""
        return self.client().ask(query)

    def client(self) -> WarehouseClient:
        """The warehouse client of this thread."""
        if not hasattr(self._own, "client"):
            self._own.client = WarehouseClient(self.settings.warehouse, timeout_s=ASKED_TIMEOUT_S)
        return self._own.client  # type: ignore[no-any-return]

    @property
    def installation(self) -> Installation:
        """For services that open the stores by themselves."""
        known, home = self.settings, Path(self.settings.home)
        return Installation(home, known.journal, known.warehouse, known.books, home / "spool")

    def terms(self, version: int) -> Terms:
        """The contracts of a config version, compiled; with it what was compiled before."""
        engine = self.engine()
        with self._compiling:
            if self._terms is None:
                self._terms = from_books(engine)
            return self._terms(version)

    def style(self, host: str) -> Style | None:
        """The brand of a host name, None = the desk's; its files are read again after `STYLE_MS`."""
        with self._lock:
            known = self._styles.get(host)
            if known is None or self.clock() - known[0] > STYLE_MS:
                known = self._styles[host] = self.clock(), portal.style_of_host(self.settings.home, host)
            return known[1]

    def totals(self) -> Latest[Totals]:
        return self._totals.latest()

    def lag(self) -> Latest[Lag]:
        return self._lag.latest()

    def parts(self) -> Latest[list[Part]]:
        return self._parts.latest()

    def begin(self, tenant: str) -> None:
        """Start all queries. If nobody viewed the page for a while, wait `FIRST_WAIT_S` in all for their answers."""
        all_polled = (
            self._of(self._books, tenant, self._read), self._of(self._traffic, tenant, self._watch), self._lag, self._parts, self._totals,
        )  # fmt: skip
        for one in all_polled:
            one.latest()
        until_s = time.monotonic() + FIRST_WAIT_S
        for one in all_polled:
            one.latest(max(0.0, until_s - time.monotonic()))

    def prepare(self) -> None:
        """Ask in the background for what the first visit to a page would else wait for, at a third of one processor."""

        def days() -> None:
            pause_s = PREPARE_S
            while not self._closed.wait(pause_s):
                try:
                    if self._counts.prepare(self.ask, "", PREPARE_S / 2) and self.recorded.prepare(
                        self.ask, self.clock() - PREPARED_MS, PREPARE_S / 2
                    ):
                        return
                    pause_s = PREPARE_S
                except Exception:  # noqa: BLE001 - whoever asks for it sees the error; the warehouse may begin later than the pages
                    pause_s = 10 * PREPARE_S

        threading.Thread(target=days, name="prepare", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        polled: list[Polled[Any]] = [self._directory, self._totals, self._lag, self._parts, *self._traffic.values(), *self._books.values()]
        for one in polled:
            one.close()
        self._asked.close()
        self._health.close()
        if self._engine is not None:
            self._engine.dispose()

    def _of(self, found: dict[str, Polled], tenant: str, make: Callable[[str], Polled]) -> Polled:  # type: ignore[type-arg]
        with self._lock:
            if tenant not in found:
                found[tenant] = make(tenant)
            return found[tenant]

    def _cookie(self) -> str:
        import streamlit as st

        return str(st.context.cookies.get(self.settings.cookie, ""))

    def _host(self) -> str:
        import streamlit as st

        return host_of(str(st.context.headers.get("Host") or ""))

    def _people(self) -> Directory:
        with reading(self.engine()) as conn:
            return Directory({user.name: user for user in people.every(conn)}, tuple(tenants.every(conn)))

    def _watch(self, tenant: str) -> Polled[Traffic]:
        watch = TrafficQuery(WarehouseClient(self.settings.warehouse), tenant)
        return Polled(f"traffic-{tenant}", lambda: watch.ask(self.clock()), self.clock, LIVE_EVERY_S)

    def _read(self, tenant: str) -> Polled[BooksView]:
        def ask() -> BooksView:
            with reading(self.engine()) as conn:
                return books_view.read(conn, tenant, self.clock())

        return Polled(f"books-{tenant}", ask, self.clock, LIVE_EVERY_S)
