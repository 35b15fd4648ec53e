"""What the dispatcher shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from books import Engine, deliveries, orders, reading, switches
from core.orders import STATUSES
from ringfence.ops.telemetry import Figures, Polled, Positions, Sample, age_s, catalog
from ringfence.ops.telemetry.lags import Lags
from switches.deliver import Acknowledged, Drifted, Reached, Standby
from switches.dispatcher import Read

LAG_MOST = 1_000
"""Orders and findings that are not in the books yet."""
SILENT_S = 30.0
"""A switch that has not answered for so long gets no block."""
BOOKS_S = 30.0
TABLES = (deliveries.BLOCKS, deliveries.SHADOW)


class Switch(NamedTuple):
    """What the books say of one switch."""

    held: dict[str, int]  # table -> entries
    due: int
    on_hold: bool
    compared_ms: int
    error: str


class Dispatcher:
    """Told of each reading, each round at a switch and each acknowledgement; the rest is in the books."""

    def __init__(self, journal_dsn: str, engine: Engine, clock: Callable[[], int]) -> None:
        self.figures, self.positions = Figures(), Positions()
        self._engine, self._clock = engine, clock
        self._lags = Lags(journal_dsn, self.positions.reached)
        self._books = Polled("books", self._read_books)
        self._began_s = time.monotonic()
        self._answered_s: dict[str, float] = {}
        self._standby: set[str] = set()  # where another one delivers: ours waits to take over, which is its work
        self.figures.add(catalog.ALERTS_READ, 0)
        for result in (*STATUSES, "malformed", "repeated", "conflict"):
            self.figures.add(catalog.ORDERS_READ, 0, result)
        for table in TABLES:
            self.figures.spread(catalog.BLOCK_LATENCY, (), table)

    def report(self, value: object) -> None:
        match value:
            case Read(orders=by_result, findings=findings):
                for result, n in by_result.items():
                    self.figures.add(catalog.ORDERS_READ, n, result)
                self.figures.add(catalog.ALERTS_READ, findings)
            case Reached(switch):
                self._answered_s[switch] = time.monotonic()
                self._standby.discard(switch)
            case Standby(switch):
                self._standby.add(switch)
            case Acknowledged(table, seconds):
                self.figures.spread(catalog.BLOCK_LATENCY, seconds, table)
            case Drifted(switch, missing, strangers):
                self.figures.add(catalog.DRIFT, missing, switch, "missing")
                self.figures.add(catalog.DRIFT, strangers, switch, "stranger")

    def _read_books(self) -> tuple[dict[str, int], dict[str, Switch]]:
        """Orders by status, and what there is to say of each switch."""
        with reading(self._engine) as conn:
            held = deliveries.held(conn, self._clock())
            holds = switches.holds(conn)
            states = {switch.name: switches.state(conn, switch.name) for switch in switches.every(conn)}
            due = {name: deliveries.due_count(conn, name) for name in states}
            by_switch = {
                name: Switch(
                    {table: held.get((name, table), 0) for table in TABLES},
                    due[name],
                    name in holds,
                    state.compared_ms,
                    state.error,
                )
                for name, state in states.items()
            }
            return dict.fromkeys(STATUSES, 0) | orders.counts(conn), by_switch

    def look(self) -> Iterator[Sample]:
        yield from self._lags.samples()
        seen = self._books.value()
        yield Sample(catalog.LOOK_AGE, self._books.age_s(), (self._books.name,))
        if seen is None:
            return
        by_status, by_switch = seen
        for status, n in by_status.items():
            yield Sample(catalog.ORDERS, n, (status,))
        for name, switch in by_switch.items():
            for table, n in switch.held.items():
                yield Sample(catalog.HELD, n, (name, table))
            yield Sample(catalog.DUE, switch.due, (name,))
            yield Sample(catalog.HOLD, float(switch.on_hold), (name,))
            since_ms = self._clock() - switch.compared_ms
            yield Sample(catalog.COMPARE_AGE, max(0, since_ms) / 1000 if switch.compared_ms else -1.0, (name,))
            yield Sample(catalog.SWITCH_AGE, age_s(self._answered_s.get(name)), (name,))

    def why_not(self) -> str:
        seen = self._books.value()
        if seen is None or self._books.age_s() > BOOKS_S:
            return f"the books cannot be read (RINGFENCE_BOOKS): {self._books.fault or 'they are being opened'}"
        for name, switch in seen[1].items():
            silent_s = time.monotonic() - self._answered_s.get(name, self._began_s)
            if silent_s > SILENT_S and name not in self._standby:
                return f"switch {name} has not answered for {silent_s:.0f} s: {switch.error or 'no word why'}"
        return self._lags.why_not(LAG_MOST)
