"""SIGKILLs of collector, three judges, watch, store and dispatcher under load; then every record and every nano is counted."""

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
from simulator.world import make_world
from switches.post import PostError, connect, post_records

SEED = 3
JUDGES = ("judge-1", "judge-2", "judge-3")
VICTIMS = ("collector", "judge-1", "store", "judge-2", "dispatcher", "judge-3", "watch")
TENANT = "demo"


@dataclass
class House:
    """Parts in processes of their own; a killed one is restarted."""

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

    def check_alive(self) -> None:
        """No part ends but by our kills."""
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
class Reference:
    """The results of judges and watch for a log."""

    tables: dict[str, pl.DataFrame]  # core.schemas.TABLES
    priced: pl.DataFrame
    findings: set[bytes]  # of judges
    orders: set[bytes]
    watched: Watched


def unkilled(journal: Journal, settings: Settings, *, dedupe: bool = True) -> Reference:
    """The results of one judge without kills on the same `calls`, and of watch on its sums."""
    state, outcomes = State(load_or_make(settings.state_dir).hash_secret.encode()), list[Outcome]()
    contracts_of = from_books(open_books(settings.books_dsn))
    calls = list(records_of(journal, topics.CALLS))
    for start in range(0, len(calls), 3000):
        outcomes.append(judge(state, calls[start : start + 3000], contracts_of, dedupe=dedupe))
    sums = pl.concat([o.sums for o in outcomes]).partition_by("partition", as_dict=True, maintain_order=True)
    messages = [Message(int(str(p)), n, 0, EPOCH, value) for (p,), rows in sums.items() for n, value in enumerate(to_values(rows))]
    return Reference(
        {table: pl.concat([o.table(table) for o in outcomes]) for table in schemas.TABLES},
        pl.concat([o.priced for o in outcomes]),
        {msgspec.json.encode(f) for o in outcomes for f in o.findings},
        {msgspec.json.encode(o) for one in outcomes for o in one.orders},
        watch(WatchState(settings.partitions), messages, contracts_of, 0, last=True),
    )


def feed(settings: Settings, token: str, done: threading.Event, sent: dict[str, int]) -> None:
    """A switch's shipper: posts batches until they are acknowledged, and loses an acknowledgement now and then. It runs until `done` is set
    and the attack has run for a while."""
    start_ms = round(time.time() * 1000) - 20 * 60_000
    deliveries, truth = day(SEED, hours=0.3, calls_per_s=6.0, attack=True, start_ms=start_ms, world=make_world(SEED, switches=("sim1",)), outages=())
    client = connect(settings.collector_url, token)
    rng, batch = random.Random(SEED), list[bytes]()

    def post(complete_to_ms: int) -> None:
        while True:
            try:
                post_records(client, batch, complete_to_ms=complete_to_ms)
            except PostError:
                sent["retries"] += 1
                time.sleep(0.2)
            else:
                return

    for delivery in deliveries:
        batch.append(msgspec.json.encode(delivery.record))
        if len(batch) == 80:
            post(delivery.complete_to_ms)
            if rng.random() < 0.02:
                post(delivery.complete_to_ms)
            sent["posted"] += len(batch)
            batch.clear()
            if done.wait(0.4) and delivery.learned_ms > truth.attack.start_ms + 120_000:
                break
    post(round(time.time() * 1000))
    sent["posted"] += len(batch)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_thirty_kills_every_record_and_every_cent_is_there_once(tmp_path: Path):
    count_after_kills(tmp_path, kills=35)


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_kills_lose_nothing_on_apache_kafka(tmp_path: Path, broker, prefix: str):
    count_after_kills(tmp_path, kills=21, journal_dsn=broker.dsn(prefix=prefix))


def count_after_kills(home: Path, kills: int, journal_dsn: str = "") -> None:
    """Kill, restart, and count. A low cap of all accounts together in a country gives watch something to find."""
    settings = Settings(
        home=home, journal=journal_dsn, tenant=TENANT, collector_port=free_port(), warehouse_port=free_port(), control_port=free_port(),
        metrics_port=0, snapshot_s=1.0, orders_per_minute=1000, judges=len(JUDGES), _env_file=None,
    )  # fmt: skip
    first_start.lay(settings.installation)
    place = make_world(SEED, switches=("sim1",))
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
    sent, done = {"posted": 0, "retries": 0}, threading.Event()
    feeding = threading.Thread(target=feed, args=(settings, secrets.collector_token, done, sent), daemon=True)
    feeding.start()
    rng, between, progress = random.Random(SEED), 0, Progress(journal)
    try:
        others_go_on_and_it_catches_up(journal, house, progress, "judge-2")
        for kill in range(kills):
            time.sleep(rng.uniform(1.0, 2.5))
            house.check_alive()
            victim = VICTIMS[kill % len(VICTIMS)]
            if victim in JUDGES:
                wait_for_work(progress, settings, victim)
            house.kill(victim)
            if victim in JUDGES:
                between += written_past_the_snapshot(progress, settings, victim)
            house.start(victim)
        done.set()
        feeding.join(180)
        assert not feeding.is_alive()
        house.kill("collector")  # so that no tick follows the last one that is counted below
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
    assert records.height > once.height, "judge never wrote a row twice: the kills proved nothing"
    reference = unkilled(journal, settings)
    expected = reference.tables["records"]

    # Received = the sum of the dispositions: every offset but ticks has exactly one.
    received = sum(1 for m in records_of(journal, topics.CALLS) if m.key != TICK_KEY)
    assert received >= sent["posted"]
    assert once.height == received == expected.height
    key = ["partition", "offset"]
    for table, rows in written.items():
        expected_rows = reference.tables[table].sort(rows.columns)
        assert rows.height > 0 and rows.unique().sort(rows.columns).equals(expected_rows), f"{table}: a row had two contents"
    findings, orders = (list(records_of(journal, topic)) for topic in (topics.FINDINGS, topics.BLOCK_ORDERS))
    assert {m.value for m in findings if m.partition < settings.partitions} == reference.findings
    assert {m.value for m in orders if m.partition < settings.partitions} == reference.orders
    assert reference.findings and reference.orders
    assert all(msgspec.json.decode(f, type=Finding).exposure_nanos > 0 for f in reference.findings)
    # Watch may have continued without a judge that was down for long: the same alerts at other times.
    watched = [msgspec.json.decode(m.value, type=Finding) for m in findings if m.partition == settings.partitions]
    assert {f.finding_id for f in watched} == {f.finding_id for f in reference.watched.findings}
    assert len({f.finding_id for f in watched}) > 3 and {f.subject_kind for f in watched} == {"range"}

    # The warehouse has the same rows and the same money.
    from warehouse import open_warehouse

    client = open_warehouse(settings.warehouse_dsn)
    stored = dict(client.query("SELECT disposition, count() FROM records_latest GROUP BY disposition").result_rows)
    assert stored == dict(expected.group_by("disposition").len().iter_rows())
    sums = dict(client.query("SELECT role, sum(toInt128(nanos)) FROM charges_counted GROUP BY role").result_rows)
    latest = reference.priced.sort("revision").unique(key, keep="last")
    assert {role: int(nanos) for role, nanos in sums.items()} == {"sell": latest["sell_nanos"].sum(), "buy": latest["buy_nanos"].sum()}
    assert client.query("SELECT count() FROM priced_calls").first_row == (latest.height,)
    client.close()

    # The books have every order.
    with reading(open_books(settings.books_dsn)) as conn:
        held = set(conn.execute(select(block_orders.c.order_id)).scalars())
    assert held == {msgspec.json.decode(m.value, type=BlockOrder).order_id for m in orders}

    # Cross-check: without de-duplication the same log costs other money.
    careless = unkilled(journal, settings, dedupe=False)
    assert careless.priced["sell_nanos"].sum() != reference.priced["sell_nanos"].sum()


class Progress:
    """How far the judges have written `judged`; each call reads on from the last position."""

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


def others_go_on_and_it_catches_up(journal: Journal, house: House, progress: Progress, victim: str) -> None:
    """While one of three judges is down, the others judge their partitions, and its own wait until it is back."""
    others = [p for name in JUDGES if name != victim for p in partitions_of(house.settings, name)]
    mine = partitions_of(house.settings, victim)
    assert mine and len(others) + len(mine) == house.settings.partitions

    def judged(partitions: Sequence[int], beyond: dict[int, int]) -> bool:
        house.check_alive()
        return all(offset >= beyond[partition] for partition, offset in progress.to(partitions).items())

    def until_judged(partitions: Sequence[int]) -> None:
        """Wait until more is judged than is in the journal now."""
        ends = {partition: journal.end_offset(topics.CALLS, partition) for partition in partitions}
        until(lambda: judged(partitions, ends), 60, f"{partitions} judged beyond {ends}")

    until_judged([*others, *mine])
    house.kill(victim)
    del house.running[victim]
    time.sleep(1.0)
    before = progress.to(mine)
    until_judged(others)
    until_judged(others)
    assert progress.to(mine) == before
    house.start(victim)
    until_judged(mine)


def written_past_the_snapshot(progress: Progress, settings: Settings, judge: str) -> bool:
    """Whether `judged` has rows beyond the durable state: the judge was killed between a write and its snapshot."""
    state = of_judge(settings.installation.judge_state(1 + JUDGES.index(judge))).load()
    known = {partition: calls.next_offset for partition, calls in state.calls.items()} if state else {}
    return any(offset >= known.get(partition, 0) for partition, offset in progress.to(partitions_of(settings, judge)).items())


def wait_for_work(progress: Progress, settings: Settings, judge: str, within_s: float = 20.0) -> None:
    """Wait until this judge has written something since its last snapshot, so that the kill falls in between; on a slow machine it may still
    be starting."""
    end = time.monotonic() + within_s
    while not written_past_the_snapshot(progress, settings, judge) and time.monotonic() < end:
        time.sleep(0.1)


def wait_until_still(journal: Journal, house: House, within_s: float = 90.0) -> None:
    """Wait until every record has its row, the store has read every row, and the dispatcher every order."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        house.check_alive()
        received = sum(1 for m in records_of(journal, topics.CALLS) if m.key != TICK_KEY)
        if rows_of(journal, "records").unique(["partition", "offset"]).height == received:
            time.sleep(8.0)  # the store's linger and its epoch
            return
        time.sleep(1.0)
    raise AssertionError("the flows did not catch up")
