"""A simulated switch, books, a journal, and a clock that the tests advance."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from books import deliveries, lists, open_books, orders, reading, switches, tenants, writing
from core.orders import BlockOrder, Key
from core.topics import BLOCK_ORDERS
from journal import Entry, create_topics, open_journal
from switches.deliver import Pace
from switches.dispatcher import Dispatcher
from switches.loopback import Loopback

sys.path.insert(0, str(Path(__file__).parent))

TOKEN = "a-control-token-of-the-tests"
START_MS = 1_795_000_000_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@dataclass
class Clock:
    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def seconds(self) -> float:
        return self.now_ms / 1000


@dataclass
class House:
    """All parts that an order goes through, with one clock."""

    home: object
    books_dsn: str
    clock: Clock = field(default_factory=Clock)
    switch: Loopback = None  # type: ignore[assignment]

    token = TOKEN

    def __post_init__(self):
        self.switch = Loopback(self.clock.seconds)
        self.served = self.switch.serve(0, TOKEN)
        self.engine = open_books(self.books_dsn)
        self.journal = open_journal(f"files://{self.home}/journal")
        create_topics(self.journal)
        self.writers = {}
        with writing(self.engine) as conn:
            tenants.add(conn, "t1", self.clock())
            tenants.add(conn, "t2", self.clock())
            lists.seed_emergency(conn, ["AT"], self.clock())
            switches.add(conn, "k1", "loopback", self.served.url, TOKEN, self.clock())
            switches.serve(conn, "k1", "t1", self.clock())
            switches.set_enforcing(conn, "k1", "t1", True, "ann", "the tests' own switch", self.clock())
        self.dispatchers = []

    def dispatcher(self, **changes) -> Dispatcher:
        settings = {"clock": self.clock, "holder": f"d{len(self.dispatchers)}", "pace": Pace(look_ms=0, compare_ms=0)} | changes
        self.dispatchers.append(Dispatcher(self.engine, self.journal, **settings))
        return self.dispatchers[-1]

    def write(self, value: bytes, topic: str = BLOCK_ORDERS) -> None:
        if topic not in self.writers:
            self.writers[topic] = self.journal.writer(topic, 0)
        self.writers[topic].append([Entry(b"key", value, self.clock())])

    def order(self, key: Key, order_id: str = "", **changes) -> BlockOrder:
        """An order of a judge that has just learned of a record."""
        now_ms = self.clock()
        facts = {"created_at_ms": now_ms, "learned_ms": now_ms, "expires_at_ms": now_ms + HOUR_MS, "finding_id": "finding-1"}
        facts |= {"order_id": order_id or f"order-{now_ms}-{abs(hash(key))}", "key": key, "action": "refuse", "reason": "a burst"}
        order = BlockOrder(**(facts | changes))
        self.write(msgspec.json.encode(order))
        return order

    def status(self, order_id: str) -> str:
        with reading(self.engine) as conn:
            kept = orders.find(conn, order_id)
        return kept.status if kept else ""

    def why(self, order_id: str) -> str:
        with reading(self.engine) as conn:
            kept = orders.find(conn, order_id)
        return kept.status_why if kept else ""

    def due(self) -> int:
        with reading(self.engine) as conn:
            return deliveries.due_count(conn, "k1", (deliveries.BLOCKS, deliveries.SHADOW))

    def close(self):
        for dispatcher in self.dispatchers:
            dispatcher.close()
        for writer in self.writers.values():
            writer.close()
        self.served.close()
        self.engine.dispose()


@pytest.fixture
def house(tmp_path, books_dsn) -> Iterator[House]:
    """On books of both kinds: each test runs on a file and on a server."""
    house = House(tmp_path, books_dsn)
    yield house
    house.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests on Kamailio run with one kind of books, tests on the simulated switch with both: a switch does not depend on the books."""
    params = {item: getattr(getattr(item, "callspec", None), "params", {}) for item in items}
    twice = [
        item for item, of in params.items()
        if of.get("books_dsn") == "postgresql" and getattr(of.get("switch"), "__name__", "") == "Kamailio"
    ]  # fmt: skip
    items[:] = [item for item in items if item not in twice]
    config.hook.pytest_deselected(items=twice)
