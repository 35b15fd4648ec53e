"""Thirty SIGKILLs over collector, judge, store and dispatcher under load; then the count, to the record and to the nano."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import polars as pl
import pytest
from sqlalchemy import select

from books import open_books, reading
from books.tables import block_orders
from core import schemas, topics
from core.decode import Message
from core.orders import BlockOrder, Finding
from core.record import TICK_KEY
from flows.batches import from_value
from flows.snapshot import of_judge
from flows.step import Outcome, State, judge
from journal import Journal, open_journal
from ringfence import first_start
from ringfence.contracts import from_books
from ringfence.secrets import load_or_make
from ringfence.settings import Settings
from simulator.day import day
from simulator.world import world
from switches.post import PostError, connect, post_records

SEED = 3
KILLS = 30
VICTIMS = ("collector", "judge", "store", "dispatcher")
TENANT = "demo"


@dataclass
class House:
    """Four parts in processes of their own; one that was killed is started again."""

    settings: Settings
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        log = (self.settings.run_dir / f"{name}.out").open("ab")
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "ringfence", "flow", name], env=os.environ | self.settings.environment(), stdout=log, stderr=log
        )

    def kill(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()

    def mourn(self) -> None:
        """Nobody dies but by our hand."""
        for name, process in self.running.items():
            if (code := process.poll()) is not None:
                raise AssertionError(f"{name} ended with {code}: {(self.settings.run_dir / f'{name}.out').read_text()[-3000:]}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def records_of(journal: Journal, topic: str) -> Iterator[Message]:
    for partition in range(journal.partitions(topic)):
        reader = journal.reader(topic, partition, 0)
        while batch := reader.read():
            yield from (Message(partition, m.offset, m.timestamp_ms, m.key, m.value) for m in batch)
        reader.close()


def rows_of(journal: Journal, table: str) -> pl.DataFrame:
    """All rows of `judged` for a table, repeats included."""
    frames = [from_value(m.value) for m in records_of(journal, topics.JUDGED) if m.key == table.encode()]
    return pl.concat([schemas.empty(schemas.TABLES[table]), *frames])


def unkilled(journal: Journal, settings: Settings, *, dedupe: bool = True) -> tuple[pl.DataFrame, pl.DataFrame, set[bytes], set[bytes]]:
    """What a judge that nobody kills says of the same `calls`."""
    state, outcomes = State(load_or_make(settings.state_dir).hash_secret.encode()), list[Outcome]()
    contracts_of = from_books(open_books(settings.books_dsn))
    calls = list(records_of(journal, topics.CALLS))
    for start in range(0, len(calls), 3000):
        outcomes.append(judge(state, calls[start : start + 3000], contracts_of, dedupe=dedupe))
    return (
        pl.concat([o.judged for o in outcomes]),
        pl.concat([o.rated for o in outcomes]),
        {msgspec.json.encode(f) for o in outcomes for f in o.findings},
        {msgspec.json.encode(o) for one in outcomes for o in one.orders},
    )


def feed(settings: Settings, token: str, done: threading.Event, tell: dict[str, int]) -> None:
    """A switch's shipper: posts batches until they are acknowledged, and now and then loses an acknowledgement."""
    start_ms = round(time.time() * 1000) - 20 * 60_000
    deliveries, _ = day(SEED, hours=0.3, calls_per_s=6.0, attack=True, start_ms=start_ms, place=world(SEED), outages=())
    client = connect(settings.collector_url, token)
    rng, batch = random.Random(SEED), list[bytes]()

    def post(complete_to_ms: int) -> None:
        while True:
            try:
                post_records(client, batch, complete_to_ms=complete_to_ms)
            except PostError:
                tell["retries"] += 1
                time.sleep(0.2)
            else:
                return

    for delivery in deliveries:
        batch.append(msgspec.json.encode(delivery.record))
        if len(batch) == 60:
            post(delivery.complete_to_ms)
            if rng.random() < 0.02:
                post(delivery.complete_to_ms)
            tell["posted"] += len(batch)
            batch.clear()
            if done.wait(0.1):
                break
    post(round(time.time() * 1000))
    tell["posted"] += len(batch)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_thirty_kills_every_record_and_every_cent_is_there_once(tmp_path: Path):
    settings = Settings(
        home=tmp_path, tenant=TENANT, collector_port=free_port(), warehouse_port=free_port(), control_port=free_port(), snapshot_s=1.0,
        orders_a_minute=1000, _env_file=None,
    )  # fmt: skip
    first_start.lay(settings)
    place = world(SEED)
    now_ms = round(time.time() * 1000)
    first_start.open_and_publish(settings, first_start.Start(place.config, place.decks, place.currency, (TENANT,)), now_ms)
    secrets = load_or_make(settings.state_dir)
    first_start.connect_switch(settings, secrets, "sim1", "loopback", settings.control_url, None, now_ms)
    journal = open_journal(settings.journal_dsn)

    house = House(settings)
    for name in VICTIMS:
        house.start(name)
    tell, done = {"posted": 0, "retries": 0}, threading.Event()
    feeding = threading.Thread(target=feed, args=(settings, secrets.collector_token, done, tell))
    feeding.start()
    rng, between = random.Random(SEED), 0
    try:
        for kill in range(KILLS):
            time.sleep(rng.uniform(1.0, 2.5))
            house.mourn()
            victim = VICTIMS[kill % len(VICTIMS)]
            house.kill(victim)
            if victim == "judge":
                between += written_past_the_snapshot(journal, settings)
            house.start(victim)
        done.set()
        feeding.join(60)
        assert not feeding.is_alive()
        wait_until_still(journal, house)
    finally:
        done.set()
        for name in house.running:
            house.kill(name)

    assert between > 0, "no kill fell between a write and its snapshot"
    records, rated = rows_of(journal, "records"), rows_of(journal, "rated_calls")
    once = records.unique(["partition", "offset"])
    assert records.height > once.height, "judge never had to say a row twice: the kills proved nothing"
    expected, expected_rated, findings, orders = unkilled(journal, settings)

    # Received = the sum of the dispositions, and every offset that is no tick has exactly one.
    received = sum(1 for m in records_of(journal, topics.CALLS) if m.key != TICK_KEY)
    assert received >= tell["posted"]
    assert once.height == received == expected.height
    key = ["partition", "offset"]
    assert records.unique().sort(key).equals(expected.sort(key)), "a row was said twice, with other words"
    assert rated.unique().sort([*key, "revision"]).equals(expected_rated.sort([*key, "revision"]))
    assert {m.value for m in records_of(journal, topics.FINDINGS)} == findings
    assert {m.value for m in records_of(journal, topics.BLOCK_ORDERS)} == orders
    assert findings and orders
    assert all(msgspec.json.decode(f, type=Finding).exposure_nanos > 0 for f in findings)

    # The warehouse holds the same rows and the same money.
    from warehouse import open_warehouse

    client = open_warehouse(settings.warehouse_dsn)
    stored = dict(client.query("SELECT disposition, count() FROM records_latest GROUP BY disposition").result_rows)
    assert stored == dict(expected.group_by("disposition").len().iter_rows())
    sell, buy = client.query("SELECT sum(toInt128(sell_nanos)), sum(toInt128(buy_nanos)) FROM rated_latest").result_rows[0]
    latest = expected_rated.sort("revision").unique(key, keep="last")
    assert (int(sell), int(buy)) == (latest["sell_nanos"].sum(), latest["buy_nanos"].sum())
    client.close()

    # The books hold every order.
    with reading(open_books(settings.books_dsn)) as conn:
        held = set(conn.execute(select(block_orders.c.order_id)).scalars())
    assert held == {msgspec.json.decode(order, type=BlockOrder).order_id for order in orders}

    # And the proof would notice: without de-duplication the same log costs other money.
    _, careless, _, _ = unkilled(journal, settings, dedupe=False)
    assert careless["sell_nanos"].sum() != expected_rated["sell_nanos"].sum()


def written_past_the_snapshot(journal: Journal, settings: Settings) -> bool:
    """Whether `judged` holds rows that the durable state does not know of: the judge died between a write and its snapshot."""
    state = of_judge(settings.state_dir / "judge.state").load()
    known = {partition: calls.next_offset for partition, calls in state.calls.items()} if state else {}
    last = rows_of(journal, "records").group_by("partition").agg(pl.col("offset").max()).iter_rows()
    return any(offset >= known.get(partition, 0) for partition, offset in last)


def wait_until_still(journal: Journal, house: House, within_s: float = 90.0) -> None:
    """Until every record has its row, the store has read every row, and the dispatcher every order."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        house.mourn()
        received = sum(1 for m in records_of(journal, topics.CALLS) if m.key != TICK_KEY)
        if rows_of(journal, "records").unique(["partition", "offset"]).height == received:
            time.sleep(8.0)  # the store's linger and its epoch
            return
        time.sleep(1.0)
    raise AssertionError("the flows did not catch up")
