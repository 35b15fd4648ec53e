"""The same records lead to the same dispositions, money, findings and orders, embedded and on servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from clickhouse_server import ClickHouse
from sqlalchemy import select

from books import open_books, progress, reading
from books.tables import alerts, block_orders, deliveries
from core import topics
from core.config import Caps, Range
from core.decide import Limits
from core.message import Message
from flows import judge, store, watch
from flows.repartition import partitions_of_judge
from journal import Entry, open_journal
from ringfence.settings import Settings
from services import first_start
from services.in_force import from_books
from simulator.day import day
from simulator.log import messages
from simulator.world import make_world
from switches.dispatcher import READER, Dispatcher
from warehouse import open_warehouse

SECRET = b"the same one in both houses"
PLACE = make_world(9)
TOTALS = (
    "SELECT disposition, count() FROM records_latest GROUP BY disposition ORDER BY disposition",
    "SELECT role, currency, sum(toInt128(nanos)) FROM charges_counted GROUP BY 1, 2 ORDER BY 1, 2",
)


@pytest.fixture(scope="module")
def log() -> list[Message]:
    """Twenty minutes with an attack and irregular records, from one switch, over four partitions. With current times, because Kafka's
    retention uses them."""
    start_ms = round(time.time() * 1000) - 3_600_000
    deliveries, _ = day(9, hours=0.35, calls_per_s=0.8, attack=True, start_ms=start_ms, world=PLACE)
    return list(messages(deliveries, "demo", partitions=4))


def start() -> first_start.Start:
    """The simulator's config, with low caps for all accounts together in a country and over a carrier."""
    little = Caps(money_hour_nanos=20 * 10**9)
    config = msgspec.structs.replace(
        PLACE.config,
        carriers=tuple(msgspec.structs.replace(carrier, caps=little) for carrier in PLACE.config.carriers),
        ranges=tuple(Range(tenant="demo", b_range=str(digit), caps=little) for digit in range(1, 10)),
    )
    return first_start.Start(config, PLACE.decks, PLACE.currency, ("demo",))


def run(settings: Settings, log: list[Message]) -> dict[str, object]:
    """Run all flows on what the collector would have written; return everything that they wrote."""
    now_ms = log[-1].learned_ms
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, start(), log[0].learned_ms)
    journal = open_journal(settings.journal_dsn)
    for partition in range(4):
        writer = journal.writer(topics.CALLS, partition)
        writer.append([Entry(m.key, m.value, m.learned_ms) for m in log if m.partition == partition])
        writer.close()
    engine = open_books(settings.books_dsn)
    contracts_of = from_books(engine)
    for number in range(1, settings.judges + 1):
        mine = partitions_of_judge(number, settings.judges, 4)
        judge.run(journal, contracts_of, judge.Settings(mine, settings.installation.judge_state(number), SECRET, until_idle=True))
    watch.run(journal, contracts_of, watch.Settings(4, settings.watch_state, until_idle=True))
    store.run(
        journal_dsn=settings.journal_dsn,
        warehouse_dsn=settings.warehouse_dsn,
        state_dir=settings.state_dir / "store",
        until_end=True,
    )
    limits = Limits(orders_per_minute=10**6, distinct_subjects=10**6)  # otherwise it is random which order reaches a limit first
    dispatcher = Dispatcher(engine, journal, clock=lambda: now_ms, holder="test", limits=limits)
    wanted = {(topic, p): journal.end_offset(topic, p) for topic in topics.SPANNING for p in range(5)}
    while {place: came_to(engine, *place) for place in wanted} != wanted:
        dispatcher.read_once()
    dispatcher.close()

    client = open_warehouse(settings.warehouse_dsn)
    found: dict[str, object] = {"totals": [client.query(sql).result_rows for sql in TOTALS]}
    for table in ("records_latest", "calls_latest", "attempts_latest", "charges_counted", "priced_calls"):
        found[table] = client.query(f"SELECT * FROM {table} ORDER BY ALL").result_rows
    client.close()
    with reading(engine) as conn:
        for table in (block_orders, alerts, deliveries):
            found[table.name] = sorted(map(tuple, conn.execute(select(table)).all()), key=repr)
    engine.dispose()
    for topic in topics.SPANNING:
        found[topic] = [list(all_of(journal, topic, p)) for p in range(5)]
    return found


def came_to(engine, topic: str, partition: int) -> int:
    with reading(engine) as conn:
        return progress.load(conn, READER, topic, partition) or 0


def all_of(journal, topic: str, partition: int) -> Iterator[object]:
    reader, end = journal.reader(topic, partition, 0), journal.end_offset(topic, partition)
    while reader.offset < end:
        yield from ((m.offset, m.key, m.value) for m in reader.read())
    reader.close()


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(240)
def test_the_same_records_embedded_and_grown(tmp_path: Path, log: list[Message], broker, postgresql, prefix: str) -> None:
    """Embedded with one judge; on Apache Kafka, PostgreSQL and ClickHouse's HTTP interface with three."""
    embedded = run(Settings(home=tmp_path / "embedded", _env_file=None), log)
    clickhouse = ClickHouse(tmp_path / "clickhouse")
    clickhouse.start()
    books = postgresql.fresh()
    addresses = {"journal": broker.dsn(prefix=prefix), "warehouse": clickhouse.dsn(), "books": books}
    try:
        grown = run(Settings(home=tmp_path / "grown", judges=3, **addresses, _env_file=None), log)
    finally:
        clickhouse.kill()
        postgresql.drop(books)
    assert embedded["block_orders"] and {"burst", "cap_money_hour"} <= {value for row in embedded["alerts"] for value in row}
    assert not any((tmp_path / "grown" / part).exists() for part in ("journal", "warehouse", "books.db"))
    for what, found in embedded.items():
        assert found == grown[what], what
