"""What the page knows of an installation, each thing asked by a thread of its own: a part that does not answer ages its own figures alone.

Shared by everybody who looks, and keyed by tenant: what one tenant's page shows is never what was asked for another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from books import Engine, open_books, reading
from core.clock import wall_clock_ms
from dashboards import books_view
from dashboards.books_view import BooksView
from dashboards.lag import Behind, Lag
from dashboards.page_settings import PageSettings
from dashboards.polled import Latest, Polled
from dashboards.totals import Count, Totals
from dashboards.traffic import Traffic, Watch
from dashboards.warehouse_client import WarehouseClient
from services.part_health import Health, Part

EVERY_S = 2.0
TOTALS_EVERY_S, TOTALS_SHARE = 10.0, 0.1
"""A count of a great day takes seconds: it is made again after nine times as long."""
FIRST_WAIT_S = 0.6
"""How long the first look waits for figures: a page that shows them a moment later is better than one that shows none."""


class Sources:
    """Made once a process. `clock` is epoch milliseconds."""

    def __init__(self, given: PageSettings, clock: Callable[[], int] = wall_clock_ms) -> None:
        self.given, self.clock = given, clock
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._health = Health(given.parts)
        self._traffic: dict[str, Polled[Traffic]] = {}
        self._promises: dict[str, Polled[BooksView]] = {}
        count, behind = Count(WarehouseClient(given.warehouse, timeout_s=60)), Behind(WarehouseClient(given.warehouse), given.journal)
        self._totals: Polled[Totals] = Polled("totals", count.ask, clock, TOTALS_EVERY_S, TOTALS_SHARE)
        self._lag: Polled[Lag] = Polled("lag", lambda: behind.ask(clock()), clock, EVERY_S)
        self._parts: Polled[list[Part]] = Polled("parts", self._health.ask, clock, EVERY_S)

    def engine(self) -> Engine:
        """The books, for what a person does."""
        with self._lock:
            self._engine = self._engine or open_books(self.given.books)
            return self._engine

    def traffic(self, tenant: str) -> Latest[Traffic]:
        return self._of(self._traffic, tenant, self._watch).seen()

    def promises(self, tenant: str) -> Latest[BooksView]:
        return self._of(self._promises, tenant, self._read).seen()

    def renew_promises(self, tenant: str) -> None:
        """After a person's act: what the books say since then is shown at the next look."""
        self._of(self._promises, tenant, self._read).renew(2.0)

    def totals(self) -> Latest[Totals]:
        return self._totals.seen()

    def lag(self) -> Latest[Lag]:
        return self._lag.seen()

    def parts(self) -> Latest[list[Part]]:
        return self._parts.seen()

    def begin(self, tenant: str) -> None:
        """Everything is asked for at once. Where nobody has looked for a while, answers are waited for, for `FIRST_WAIT_S` in all."""
        everything = (
            self._of(self._promises, tenant, self._read), self._of(self._traffic, tenant, self._watch), self._lag, self._parts, self._totals,
        )  # fmt: skip
        for kept in everything:
            kept.seen()
        until_s = time.monotonic() + FIRST_WAIT_S
        for kept in everything:
            kept.seen(max(0.0, until_s - time.monotonic()))

    def close(self) -> None:
        polled: list[Polled[Any]] = [self._totals, self._lag, self._parts, *self._traffic.values(), *self._promises.values()]
        for one in polled:
            one.close()
        self._health.close()
        if self._engine is not None:
            self._engine.dispose()

    def _of(self, found: dict[str, Polled], tenant: str, make: Callable[[str], Polled]) -> Polled:  # type: ignore[type-arg]
        with self._lock:
            if tenant not in found:
                found[tenant] = make(tenant)
            return found[tenant]

    def _watch(self, tenant: str) -> Polled[Traffic]:
        watch = Watch(WarehouseClient(self.given.warehouse), tenant)
        return Polled(f"traffic-{tenant}", lambda: watch.ask(self.clock()), self.clock, EVERY_S)

    def _read(self, tenant: str) -> Polled[BooksView]:
        def ask() -> BooksView:
            with reading(self.engine()) as conn:
                return books_view.read(conn, tenant, self.clock())

        return Polled(f"promises-{tenant}", ask, self.clock, EVERY_S / 2)
