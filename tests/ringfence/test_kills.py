"""SIGKILLs over collector, three judges, watch, store and dispatcher under load; then the count, to the record and to the nano."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import polars as pl
import pytest
from ports import free_port
from sqlalchemy import select
from until import until

from books import open_books, reading
from books.tables import block_orders
from core import schemas, topics
from core.config import Caps, Range
from core.message import Message
from core.orders import BlockOrder, Finding
from core.record import TICK_KEY
from detectors.sums import EPOCH
from flows.batches import from_value, to_values
from flows.repartition import partitions_of_judge
from flows.snapshot import of_judge
from flows.step import Outcome, State, judge
from flows.watch import Outcome as Watched
from flows.watch import State as WatchState
from flows.watch import watch
from journal import Journal, open_journal
from ringfence.ops.secrets import load_or_make
from ringfence.settings import Settings
from services import first_start
from services.in_force import from_books
from simulator.day import day
from simulator.world import world
from switches.post import PostError, connect, post_records

SEED = 3
JUDGES = ("judge-1", "judge-2", "judge-3")
VICTIMS = ("collector", "judge-1", "store", "judge-2", "dispatcher", "judge-3", "watch")
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


def records_of(journal: Journal, topic: str) -> Iterator[Message]:
    for partition in range(journal.partitions(topic)):
        reader, end = journal.reader(topic, partition, 0), journal.end_offset(topic, partition)
        while reader.offset < end:
            yield from reader.read()
        reader.close()


def rows_of(journal: Journal, table: str) -> pl.DataFrame:
    """All rows of `judged` for a table, repeats included."""
    frames = [from_value(m.value) for m in records_of(journal, topics.JUDGED) if m.key == table.encode()]
    return pl.concat([schemas.empty(schemas.TABLES[table]), *frames])


@dataclass
class Said:
    """What judges and watch say of a log."""

    tables: dict[str, pl.DataFrame]  # core.schemas.TABLES
    priced: pl.DataFrame
    findings: set[bytes]  # of judges
    orders: set[bytes]
    watched: Watched


def unkilled(journal: Journal, settings: Settings, *, dedupe: bool = True) -> Said:
    """What one judge that nobody kills says of the same `calls`, and a watch of its sums."""
    state, outcomes = State(load_or_make(settings.state_dir).hash_secret.encode()), list[Outcome]()
    contracts_of = from_books(open_books(settings.books_dsn))
    calls = list(records_of(journal, topics.CALLS))
    for start in range(0, len(calls), 3000):
        outcomes.append(judge(state, calls[start : start + 3000], contracts_of, dedupe=dedupe))
    sums = pl.concat([o.sums for o in outcomes]).partition_by("partition", as_dict=True, maintain_order=True)
    told = [Message(int(str(p)), n, 0, EPOCH, value) for (p,), rows in sums.items() for n, value in enumerate(to_values(rows))]
    return Said(
        {table: pl.concat([o.table(table) for o in outcomes]) for table in schemas.TABLES},
        pl.concat([o.priced for o in outcomes]),
        {msgspec.json.encode(f) for o in outcomes for f in o.findings},
        {msgspec.json.encode(o) for one in outcomes for o in one.orders},
        watch(WatchState(settings.partitions), told, contracts_of, 0, last=True),
    )


def feed(settings: Settings, token: str, done: threading.Event, tell: dict[str, int]) -> None:
    """A switch's shipper: posts batches until they are acknowledged, and now and then loses an acknowledgement. Until it is `done`, and
    the attack has gone on for a while."""
    start_ms = round(time.time() * 1000) - 20 * 60_000
    deliveries, truth = day(SEED, hours=0.3, calls_per_s=6.0, attack=True, start_ms=start_ms, place=world(SEED, switches=("sim1",)), outages=())
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
        if len(batch) == 80:
            post(delivery.complete_to_ms)
            if rng.random() < 0.02:
                post(delivery.complete_to_ms)
            tell["posted"] += len(batch)
            batch.clear()
            if done.wait(0.4) and delivery.learned_ms > truth.attack.start_ms + 120_000:
                break
    post(round(time.time() * 1000))
    tell["posted"] += len(batch)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_thirty_kills_every_record_and_every_cent_is_there_once(tmp_path: Path):
    count_after_kills(tmp_path, kills=35)


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_after_kills_on_apache_kafka_too(tmp_path: Path, broker, prefix: str):
    count_after_kills(tmp_path, kills=21, journal_dsn=broker.dsn(prefix=prefix))


def count_after_kills(home: Path, kills: int, journal_dsn: str = "") -> None:
    """Kill, start again, and count. All accounts together may spend little in a country: watch has something to say."""
    settings = Settings(
        home=home, journal=journal_dsn, tenant=TENANT, collector_port=free_port(), warehouse_port=free_port(), control_port=free_port(),
        metrics_port=0, snapshot_s=1.0, orders_a_minute=1000, judges=len(JUDGES), _env_file=None,
    )  # fmt: skip
    first_start.lay(settings.installation)
    place = world(SEED, switches=("sim1",))
    now_ms = round(time.time() * 1000)
    little = Caps(money_hour_nanos=3 * 10**9)
    ranges = tuple(Range(tenant=TENANT, b_range=str(digit), caps=little) for digit in range(1, 10))
    config = msgspec.structs.replace(place.config, ranges=ranges)
    first_start.open_and_publish(settings.installation, first_start.Start(config, place.decks, place.currency, (TENANT,)), now_ms)
    secrets = load_or_make(settings.state_dir)
    first_start.connect_switch(settings.installation, secrets, "sim1", "loopback", settings.control_url, None, now_ms)
    journal = open_journal(settings.journal_dsn)

    house = House(settings)
    for name in VICTIMS:
        house.start(name)
    tell, done = {"posted": 0, "retries": 0}, threading.Event()
    feeding = threading.Thread(target=feed, args=(settings, secrets.collector_token, done, tell), daemon=True)
    feeding.start()
    rng, between, told = random.Random(SEED), 0, Told(journal)
    try:
        others_go_on_and_it_catches_up(journal, house, told, "judge-2")
        for kill in range(kills):
            time.sleep(rng.uniform(1.0, 2.5))
            house.mourn()
            victim = VICTIMS[kill % len(VICTIMS)]
            if victim in JUDGES:
                wait_for_work(told, settings, victim)
            house.kill(victim)
            if victim in JUDGES:
                between += written_past_the_snapshot(told, settings, victim)
            house.start(victim)
        done.set()
        feeding.join(180)
        assert not feeding.is_alive()
        house.kill("collector")  # no tick comes after the last that is counted below
        del house.running["collector"]
        wait_until_still(journal, house)
    finally:
        done.set()
        for name in house.running:
            house.kill(name)

    assert between > 0, "no kill fell between a write and its snapshot"
    written = {table: rows_of(journal, table) for table in schemas.TABLES}
    records = written["records"]
    once = records.unique(["partition", "offset"])
    assert records.height > once.height, "judge never had to say a row twice: the kills proved nothing"
    said = unkilled(journal, settings)
    expected = said.tables["records"]

    # Received = the sum of the dispositions, and every offset that is no tick has exactly one.
    received = sum(1 for m in records_of(journal, topics.CALLS) if m.key != TICK_KEY)
    assert received >= tell["posted"]
    assert once.height == received == expected.height
    key = ["partition", "offset"]
    for table, rows in written.items():
        assert rows.height > 0 and rows.unique().sort(rows.columns).equals(said.tables[table].sort(rows.columns)), f"{table}: a row had two contents"
    findings, orders = (list(records_of(journal, topic)) for topic in (topics.FINDINGS, topics.BLOCK_ORDERS))
    assert {m.value for m in findings if m.partition < settings.partitions} == said.findings
    assert {m.value for m in orders if m.partition < settings.partitions} == said.orders
    assert said.findings and said.orders
    assert all(msgspec.json.decode(f, type=Finding).exposure_nanos > 0 for f in said.findings)
    # Watch may have gone on for a while without a judge that was long in coming back: the same alerts, at other moments.
    watched = [msgspec.json.decode(m.value, type=Finding) for m in findings if m.partition == settings.partitions]
    assert {f.finding_id for f in watched} == {f.finding_id for f in said.watched.findings}
    assert len({f.finding_id for f in watched}) > 3 and {f.subject_kind for f in watched} == {"range"}

    # The warehouse holds the same rows and the same money.
    from warehouse import open_warehouse

    client = open_warehouse(settings.warehouse_dsn)
    stored = dict(client.query("SELECT disposition, count() FROM records_latest GROUP BY disposition").result_rows)
    assert stored == dict(expected.group_by("disposition").len().iter_rows())
    sums = dict(client.query("SELECT role, sum(toInt128(nanos)) FROM charges_counted GROUP BY role").result_rows)
    latest = said.priced.sort("revision").unique(key, keep="last")
    assert {role: int(nanos) for role, nanos in sums.items()} == {"sell": latest["sell_nanos"].sum(), "buy": latest["buy_nanos"].sum()}
    assert client.query("SELECT count() FROM priced_calls").first_row == (latest.height,)
    client.close()

    # The books hold every order.
    with reading(open_books(settings.books_dsn)) as conn:
        held = set(conn.execute(select(block_orders.c.order_id)).scalars())
    assert held == {msgspec.json.decode(m.value, type=BlockOrder).order_id for m in orders}

    # And the proof would notice: without de-duplication the same log costs other money.
    careless = unkilled(journal, settings, dedupe=False)
    assert careless.priced["sell_nanos"].sum() != said.priced["sell_nanos"].sum()


class Told:
    """How far the judges have told what became of the records: looked at again, it reads on from where it stood."""

    def __init__(self, journal: Journal) -> None:
        self.readers = [journal.reader(topics.JUDGED, partition, 0) for partition in range(journal.partitions(topics.JUDGED))]
        self.last: dict[int, int] = {}

    def to(self, partitions: Iterable[int]) -> dict[int, int]:
        """partition -> the highest offset of `calls` that has a row."""
        for reader in self.readers:
            while messages := reader.read():
                for frame in (from_value(m.value) for m in messages if m.key == b"records"):
                    for partition, offset in frame.group_by("partition").agg(pl.col("offset").max()).iter_rows():
                        self.last[partition] = max(offset, self.last.get(partition, -1))
        return {partition: self.last.get(partition, -1) for partition in partitions}


def partitions_of(settings: Settings, judge: str) -> tuple[int, ...]:
    return tuple(partitions_of_judge(1 + JUDGES.index(judge), settings.judges, settings.partitions))


def others_go_on_and_it_catches_up(journal: Journal, house: House, told: Told, victim: str) -> None:
    """One of three is killed and stays away: what the others have to judge is judged, and nothing of its own, until it is back."""
    others = [p for name in JUDGES if name != victim for p in partitions_of(house.settings, name)]
    mine = partitions_of(house.settings, victim)
    assert mine and len(others) + len(mine) == house.settings.partitions

    def judged(partitions: Sequence[int], beyond: dict[int, int]) -> bool:
        house.mourn()
        return all(offset >= beyond[partition] for partition, offset in told.to(partitions).items())

    def until_judged(partitions: Sequence[int]) -> None:
        """And more than is there now."""
        ends = {partition: journal.end_offset(topics.CALLS, partition) for partition in partitions}
        until(lambda: judged(partitions, ends), 60, f"{partitions} judged beyond {ends}")

    until_judged([*others, *mine])
    house.kill(victim)
    del house.running[victim]
    time.sleep(1.0)
    before = told.to(mine)
    until_judged(others)
    until_judged(others)
    assert told.to(mine) == before
    house.start(victim)
    until_judged(mine)


def written_past_the_snapshot(told: Told, settings: Settings, judge: str) -> bool:
    """Whether `judged` holds rows that the durable state does not know of: the judge died between a write and its snapshot."""
    state = of_judge(settings.installation.judge_state(1 + JUDGES.index(judge))).load()
    known = {partition: calls.next_offset for partition, calls in state.calls.items()} if state else {}
    return any(offset >= known.get(partition, 0) for partition, offset in told.to(partitions_of(settings, judge)).items())


def wait_for_work(told: Told, settings: Settings, judge: str, within_s: float = 20.0) -> None:
    """Until this judge has written something since its last snapshot, so that the kill falls between: where a machine is slow it may still
    be starting."""
    end = time.monotonic() + within_s
    while not written_past_the_snapshot(told, settings, judge) and time.monotonic() < end:
        time.sleep(0.1)


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
