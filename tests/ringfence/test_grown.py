"""Books on PostgreSQL and the warehouse behind HTTP: both are killed under load, and no record is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from clickhouse_server import PASSWORD as WAREHOUSE_PASSWORD
from clickhouse_server import ClickHouse
from ports import free_port
from postgresql_server import PASSWORD as BOOKS_PASSWORD
from postgresql_server import PostgreSQL
from until import until

from books import deliveries, open_books, orders, reading
from core import topics
from core.decide import LIVE
from core.message import Message
from core.orders import BlockOrder
from core.record import TICK_KEY
from journal import Journal, open_journal
from ringfence.ops.secrets import secrets_of
from ringfence.settings import Settings
from services import first_start
from simulator.day import day
from simulator.world import make_world
from switches.loopback import Loopback
from switches.post import PostError, connect, post_records

SEED, TENANT = 3, "demo"
PARTS = ("store", "watch", "judge", "dispatcher", "collector")


class Grown:
    """Five parts with the addresses of their servers in secret files, a switch, and a load generator."""

    def __init__(self, home: Path, books: PostgreSQL, warehouse: ClickHouse) -> None:
        self.books, self.warehouse = books, warehouse
        self.secrets_dir = home / "secrets"
        self.secrets_dir.mkdir()
        (self.secrets_dir / "ringfence_books").write_text(books.fresh() + "\n")
        (self.secrets_dir / "ringfence_warehouse").write_text(warehouse.dsn() + "\n")
        self.settings = Settings(
            home=home / "home", secrets_dir=str(self.secrets_dir), tenant=TENANT, snapshot_s=1.0, orders_per_minute=1000, metrics_port=0,
            collector_port=free_port(), warehouse_port=free_port(), control_port=free_port(),
            _env_file=None,
        )  # fmt: skip
        first_start.lay(self.settings.installation)
        place, now_ms = make_world(SEED, switches=("sim1",)), time.time_ns() // 1_000_000
        first_start.open_and_publish(self.settings.installation, first_start.Start(place.config, place.decks, place.currency, (TENANT,)), now_ms)
        self.secrets = secrets_of(self.settings)
        self.switch = Loopback()
        self.served = self.switch.serve(self.settings.control_port, self.secrets.control_token)
        first_start.connect_switch(self.settings.installation, self.secrets, "sim1", "loopback", self.settings.control_url, True, now_ms)
        self.journal: Journal = open_journal(self.settings.journal_dsn)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.posted = 0

    @property
    def env(self) -> dict[str, str]:
        """The environment of the parts: the directory of the secret files, without addresses."""
        variables = {name: value for name, value in self.settings.environment().items() if name not in ("RINGFENCE_BOOKS", "RINGFENCE_WAREHOUSE")}
        return os.environ | variables

    def start(self) -> None:
        for name in PARTS:
            with self.log(name).open("ab") as out:
                argv = [sys.executable, "-m", "ringfence", "flow", name]
                self.running[name] = subprocess.Popen(argv, env=self.env, stdout=out, stderr=out)

    def log(self, name: str) -> Path:
        return self.settings.run_dir / f"{name}.log"

    def check_alive(self) -> None:
        """No part ends because a server is down."""
        for name, part in self.running.items():
            assert part.poll() is None, f"{name} ended with {part.poll()}: {self.log(name).read_text()[-3000:]}"

    def until(self, true: Callable[[], object], what: str, within_s: float = 120.0) -> None:
        until(true, within_s, what, meanwhile=self.check_alive)

    def feed(self) -> None:
        """Post batches until they are acknowledged."""
        start_ms = time.time_ns() // 1_000_000 - 20 * 60_000
        deliveries_, _ = day(SEED, hours=0.3, calls_per_s=6.0, attack=True, start_ms=start_ms, world=make_world(SEED, switches=("sim1",)), outages=())
        client, batch = connect(self.settings.collector_url, self.secrets.collector_token), list[bytes]()

        def post(complete_to_ms: int) -> None:
            while self.running["collector"].poll() is None:
                try:
                    post_records(client, batch, complete_to_ms=complete_to_ms)
                except PostError:
                    time.sleep(0.2)
                else:
                    self.posted += len(batch)
                    batch.clear()
                    time.sleep(0.15)
                    return

        for delivery in deliveries_:
            batch.append(msgspec.json.encode(delivery.record))
            if len(batch) == 150:
                post(delivery.complete_to_ms)
        post(time.time_ns() // 1_000_000)

    def messages(self, topic: str) -> Iterator[Message]:
        for partition in range(self.journal.partitions(topic)):
            reader = self.journal.reader(topic, partition, 0)
            while batch := reader.read():
                yield from batch
            reader.close()

    def ask(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "ringfence", *arguments]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=True, timeout=120).stdout

    def close(self) -> None:
        for part in self.running.values():
            part.send_signal(signal.SIGKILL)
            part.wait()
        self.served.close()


@pytest.fixture
def grown(tmp_path: Path, need: Callable[[str], None]) -> Iterator[Grown]:
    need("postgresql")
    books, warehouse = PostgreSQL(), ClickHouse(tmp_path / "clickhouse")
    try:
        warehouse.start()
        grown = Grown(tmp_path, books, warehouse)
        yield grown
        grown.close()
    finally:
        warehouse.kill()
        books.close()


@pytest.mark.slow
@pytest.mark.postgresql
@pytest.mark.timeout(600)
def test_books_and_warehouse_are_killed_and_every_record_and_every_order_is_there_once(grown: Grown):
    grown.start()
    feeding = threading.Thread(target=grown.feed, daemon=True)
    feeding.start()
    grown.until(lambda: grown.posted > 2000, "the first records")
    assert not shown_to_everybody(), "no password is among the arguments of a process"
    for _ in range(2):
        grown.books.stop("immediate")
        time.sleep(3)
        grown.check_alive()
        grown.books.start()
        time.sleep(2)
        grown.warehouse.kill()
        time.sleep(3)
        grown.check_alive()
        grown.warehouse.start()
        time.sleep(2)
    grown.warehouse.freeze()  # alive, but without answers
    time.sleep(3)
    grown.warehouse.freeze(False)
    feeding.join(300)
    assert not feeding.is_alive()

    received = grown.posted
    assert received > 15_000 and received == sum(1 for m in grown.messages(topics.CALLS) if m.key != TICK_KEY)
    status: dict[str, int] = {}

    def stored() -> bool:
        status.update(json.loads(grown.ask("status", "--json")))
        return status["received"] == received and status["lag"] == 0

    grown.until(stored, "every record in the warehouse")
    fates = ("rated", "unrated", "events", "rejected", "duplicates", "conflicts")
    assert sum(status[fate] for fate in fates) == received
    assert len(json.loads(grown.ask("calls", "--last", "20", "--json"))) == 20

    # Each order of the journal is in the books once, and the switch has the active ones.
    ordered = {msgspec.json.decode(m.value, type=BlockOrder).order_id for m in grown.messages(topics.BLOCK_ORDERS)}
    assert ordered
    engine = open_books(grown.settings.books_dsn)
    try:
        with reading(engine) as conn:
            assert {stored.order.order_id for stored in orders.select(conn)} == ordered

        def delivered() -> bool:
            with reading(engine) as conn:
                ends = [(stored.order.expires_at_ms, stored.order) for stored in orders.select(conn, statuses=LIVE)]
                due = deliveries.due_count(conn, "sim1")
            # The order of a key that lasts longest: it is issued again while its condition holds.
            wanted = {order.key.entry(): order.expires_at_ms for _, order in sorted(ends, key=lambda pair: pair[0])}
            held = {order.order_id: order for _, order in ends}
            there = {name: held[order_id].expires_at_ms for name, order_id in grown.switch.live().items()}
            return due == 0 and wanted and there == wanted

        grown.until(delivered, "the blocks at the switch")
    finally:
        engine.dispose()

    for name in PARTS:
        output = grown.log(name).read_text()
        assert "Traceback" not in output, output[-3000:]
        assert BOOKS_PASSWORD not in output and WAREHOUSE_PASSWORD not in output and "s3ntinel" not in output
    assert 2 <= grown.log("dispatcher").read_text().count("orders wait in the journal while the books are away") <= 4
    assert grown.log("dispatcher").read_text().count("nothing is delivered to sim1 while the books are away") <= 4
    assert grown.log("collector").read_text().count("stays in force") <= 4
    written = [path for path in grown.settings.root.rglob("*") if path.is_file() and path.suffix in (".log", ".out", ".json", ".beat")]
    assert written and not [path for path in written if b"s3ntinel" in path.read_bytes()]


def shown_to_everybody() -> list[str]:
    """Command lines with a password in them."""
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue  # it has ended meanwhile
    return [line for line in lines if BOOKS_PASSWORD in line or WAREHOUSE_PASSWORD in line or "s3ntinel" in line]
