"""Metrics and readiness of the dispatcher."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from books import Engine, deliveries, orders, reading, switches
from core.orders import STATUSES
from ringfence.ops.telemetry import Part, Polled, Sample, age_s, catalog
from ringfence.ops.telemetry.lags import Lags
from switches.deliver import Acknowledged, Drifted, Reached, Standby
from switches.dispatcher import Read

MAX_LAG = 1_000
"""Orders and findings that are not in the books yet. With more, blocks are late."""
SILENT_S = 30.0
"""A switch that has not answered for so long gets no block."""
BOOKS_S = 30.0
TABLES = (deliveries.BLOCKS, deliveries.SHADOW)


class Switch(NamedTuple):
    """One switch, as the books have it."""

    held: dict[str, int]  # table -> entries
    due: int
    on_hold: bool
    compared_ms: int
    error: str


class Dispatcher(Part):
    """The dispatcher reports each read of the journal, each round at a switch and each acknowledgement; the rest is read from the books."""

    def __init__(self, journal_dsn: str, engine: Engine, clock: Callable[[], int]) -> None:
        super().__init__()
        self._engine, self._clock = engine, clock
        self._lags = Lags(journal_dsn, self.positions.reached)
        self._books = Polled("books", self._read_books)
        self._began_s = time.monotonic()
        self._answered_s: dict[str, float] = {}
        self._standby: set[str] = set()  # switches to which another dispatcher delivers: this one is ready while it waits to take over
        self.metrics.add(catalog.ALERTS_READ, 0)
        for result in (*STATUSES, "malformed", "repeated", "conflict"):
            self.metrics.add(catalog.ORDERS_READ, 0, result)
        for table in TABLES:
            self.metrics.observe(catalog.BLOCK_LATENCY, (), table)

    def report(self, value: object) -> None:
        match value:
            case Read(orders=by_result, findings=findings):
                for result, n in by_result.items():
                    self.metrics.add(catalog.ORDERS_READ, n, result)
                self.metrics.add(catalog.ALERTS_READ, findings)
            case Reached(switch):
                self._answered_s[switch] = time.monotonic()
                self._standby.discard(switch)
            case Standby(switch):
                self._standby.add(switch)
            case Acknowledged(table, seconds):
                self.metrics.observe(catalog.BLOCK_LATENCY, seconds, table)
            case Drifted(switch, missing, strangers):
                self.metrics.add(catalog.DRIFT, missing, switch, "missing")
                self.metrics.add(catalog.DRIFT, strangers, switch, "stranger")

    def _read_books(self) -> tuple[dict[str, int], dict[str, Switch]]:
        """Orders by status, and the state of each switch."""
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

    def samples(self) -> Iterator[Sample]:
        yield from self._lags.samples()
        read = self._books.value()
        yield Sample(catalog.LOOK_AGE, self._books.age_s(), (self._books.name,))
        if read is None:
            return
        by_status, by_switch = read
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

    def not_ready_reason(self) -> str:
        read = self._books.value()
        if read is None or self._books.age_s() > BOOKS_S:
            return f"the books cannot be read (RINGFENCE_BOOKS): {self._books.fault or 'they are being opened'}"
        for name, switch in read[1].items():
            silent_s = time.monotonic() - self._answered_s.get(name, self._began_s)
            if silent_s > SILENT_S and name not in self._standby:
                return f"switch {name} has not answered for {silent_s:.0f} s: {switch.error or 'no reason known'}"
        return self._lags.not_ready_reason(MAX_LAG)
