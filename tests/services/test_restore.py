"""Back up while all parts run, lose the home, restore, start: what an operator does on a bad day, with real processes and traffic."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from ports import free_ports
from until import until

from books import open_books, orders, reading, suppressions, writing
from core import schemas, topics
from core.message import Message
from core.orders import Key
from core.record import TICK_KEY
from flows.batches import from_value
from flows.snapshot import of_judge
from flows.step import State, judge
from journal import Journal, open_journal
from ringfence.ops.secrets import load_or_make
from ringfence.settings import Settings
from services import blocks, first_start
from services.completeness import coverage
from services.in_force import from_books
from simulator.day import day
from simulator.world import make_world
from switches.loopback import Loopback
from switches.post import PostError, connect, post_records
from warehouse import ask, open_warehouse

SEED, TENANT = 3, "demo"
PARTS = ("store", "judge", "watch", "dispatcher", "collector")
HOUR_MS = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class House:
    """The parts in processes of their own, and a command beside them."""

    settings: Settings
    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        return os.environ | self.settings.environment()

    def start(self) -> None:
        for name in PARTS:
            with (self.logs / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    [sys.executable, "-m", "ringfence", "flow", name], env=self.env, cwd=self.logs, stdout=log, stderr=log
                )

    def kill(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.running.clear()

    def mourn(self) -> None:
        for name, process in self.running.items():
            assert process.poll() is None, f"{name} ended: {(self.logs / f'{name}.log').read_text()[-3000:]}"

    def command(self, *argv: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ringfence", *argv], env=self.env, cwd=self.logs, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@dataclass
class Switch:
    """A switch that survives: it still has all that it wrote, and delivers it from the beginning on request."""

    settings: Settings
    token: str
    deliveries: list[Any]
    posted: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def deliver(self, first: float = 0.0, last: float = 1.0, pause_s: float = 0.0) -> None:
        """From one share of it to another."""
        client = connect(self.settings.collector_url, self.token)
        self.posted, most = round(len(self.deliveries) * first), round(len(self.deliveries) * last)
        while self.posted < most and not self.stop.is_set():
            batch = self.deliveries[self.posted : min(most, self.posted + 100)]
            try:
                post_records(client, [msgspec.json.encode(d.record) for d in batch], complete_to_ms=batch[-1].complete_to_ms)
                self.posted += len(batch)
            except PostError:
                time.sleep(0.2)
            time.sleep(pause_s)


def messages(journal: Journal, topic: str, after: dict[int, int] | None = None) -> Iterator[Message]:
    for partition in range(journal.partitions(topic)):
        reader = journal.reader(topic, partition, (after or {}).get(partition, 0))
        while batch := reader.read():
            yield from batch
        reader.close()


def rows(journal: Journal, table: str, after: dict[int, int] | None = None) -> pl.DataFrame:
    found = [from_value(m.value) for m in messages(journal, topics.JUDGED, after) if m.key == table.encode()]
    return pl.concat([schemas.empty(schemas.TABLES[table]), *found])


def ends(journal: Journal, topic: str) -> dict[int, int]:
    return {partition: journal.end_offset(topic, partition) for partition in range(journal.partitions(topic))}


def all_judged(journal: Journal) -> bool:
    received = sum(m.key != TICK_KEY for m in messages(journal, topics.CALLS))
    return rows(journal, "records").unique(["partition", "offset"]).height == received > 0


def live(switch: Loopback) -> set[str]:
    return set(switch.live())


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_lost_home_comes_back_and_nothing_old_is_blocked_again(tmp_path: Path):
    collector, warehouse, control = free_ports(3)
    settings = Settings(
        home=tmp_path / "home", tenant=TENANT, collector_port=collector, warehouse_port=warehouse, control_port=control, metrics_port=0,
        snapshot_s=1.0, orders_per_minute=1000, order_share=1.0, _env_file=None,
    )  # fmt: skip
    first_start.lay(settings.installation)
    place = make_world(SEED, switches=("sim1",))
    first_start.open_and_publish(settings.installation, first_start.Start(place.config, place.decks, place.currency, (TENANT,)), now_ms())
    secrets = load_or_make(settings.state_dir)
    first_start.connect_switch(settings.installation, secrets, "sim1", "loopback", settings.control_url, True, now_ms())
    table = Loopback()
    served = table.serve(control, secrets.control_token)
    traffic, _ = day(SEED, hours=0.15, calls_per_s=3.0, attack=True, start_ms=now_ms() - 12 * 60_000, world=place, outages=())
    switch = Switch(settings, secrets.collector_token, list(traffic))
    house = House(settings, tmp_path)
    journal, engine = open_journal(settings.journal_dsn), open_books(settings.books_dsn)

    dairy, gone, lifted = (Key(tenant=TENANT, account="dairy", b_range=digits) for digits in ("88213", "88216", "25090"))
    house.start()
    meanwhile = threading.Thread(target=switch.deliver, args=(0.5, 0.8, 0.2))
    try:
        switch.deliver(0.0, 0.5)
        with writing(engine) as conn:
            blocks.block(conn, dairy, HOUR_MS, "ann", "stays", now_ms())
            blocks.block(conn, gone, 10_000, "ann", "is over soon", now_ms())
            blocks.block(conn, lifted, HOUR_MS, "ann", "a mistake", now_ms())
            orders.lift(conn, lifted, "ann", "it was one", now_ms(), 24 * HOUR_MS)
        until(lambda: any(dairy.b_range in entry for entry in live(table)), 60, "the dispatcher delivers")
        until(lambda: of_judge(settings.installation.judge_state(1)).load() is not None, 120, "judge writes its first snapshot")  # it compiles first

        meanwhile.start()
        output = house.command("backup", "--out", str(tmp_path / "backup"))
        assert "every hash is in manifest.json" in output
        meanwhile.join(60)
        switch.deliver(0.8, 0.9)  # nothing of this is in the backup
        house.mourn()
    finally:
        switch.stop.set()
        house.kill()

    # The bad day: all of it is lost, and the switch has restarted too. It keeps its hold flag and the newest number of a dispatcher.
    lost = sum(m.key != TICK_KEY for m in messages(journal, topics.CALLS))
    with writing(engine) as conn:
        orders.lift(conn, dairy, "ann", "lifted after the backup, which nobody will know", now_ms(), HOUR_MS)
    engine.dispose()
    shutil.rmtree(settings.root)
    table.restart()

    output = house.command("restore", "--from", str(tmp_path / "backup"))
    assert "All blocks are on hold at sim1" in output
    restored = sum(m.key != TICK_KEY for m in messages(journal, topics.CALLS))
    assert 0 < restored < lost

    # Judge's offset is inside of the journal, and what it and the store have done lies behind it.
    state = of_judge(settings.installation.judge_state(1)).load()
    assert state is not None
    at = {partition: calls.next_offset for partition, calls in state.calls.items()}
    assert sum(at.values()) > 0 and all(at[p] <= end for p, end in ends(journal, topics.CALLS).items() if p in at)
    before, calls_end = ends(journal, topics.JUDGED), ends(journal, topics.CALLS)
    beyond = [m.offset >= calls_end[m.partition] for m in _offsets(rows(journal, "records"))]
    assert beyond and not any(beyond), "a row stands under an offset that a new record will get"

    switch.stop.clear()
    house.start()
    try:
        until(lambda: table.held, 60, "a restored dispatcher holds the switch")
        switch.deliver()  # from the beginning: it cannot know what was lost
        until(lambda: all_judged(journal), 90, "judge at the end")
        house.mourn()
        assert live(table) == set(), "a held switch was given blocks"

        # What was judged since begins at the offset of the state: nothing before it was judged a second time.
        again = rows(journal, "records", before)
        assert all(m.offset >= at.get(m.partition, 0) for m in _offsets(again))
        fate = dict(again.group_by("disposition").len().iter_rows())
        assert fate["duplicate"] > 0 and fate["rated"] > 0, "what was there is known again, and what was lost is priced"

        house.command("unblock", "--clear-hold", "--why", "looked through the orders")
        until(lambda: any(dairy.b_range in entry for entry in live(table)), 60, "a block that stands is back")
        books = open_books(settings.books_dsn)
        with reading(books) as conn:
            assert [one.key for one in suppressions.live(conn, now_ms())] == [lifted]
        assert not [entry for entry in live(table) if gone.b_range in entry or "dairy||25090" in entry]
        books.dispose()

        time.sleep(5.0)  # the store's linger and its epoch
        house.mourn()
    finally:
        house.kill()
        served.close()

    # Complete, to the record and to the nano.
    client = open_warehouse(settings.warehouse_dsn)
    try:
        found = coverage(journal, client, ends(journal, topics.CALLS))
        assert [(part.lost, part.unexplained) for part in found] == [([], 0)] * len(found)
        received = sum(m.key != TICK_KEY for m in messages(journal, topics.CALLS))
        assert sum(part.received for part in found) == received
        sell, buy = client.query("SELECT sum(sell), sum(buy) FROM priced_calls").result_rows[0]
        assert (int(sell * 10**9), int(buy * 10**9)) == undisturbed(journal, settings)
        seqs = ask(
            client, ("SELECT uniqExact(seq) AS n FROM records_latest WHERE disposition NOT IN ('duplicate', 'reject')", {})
        )
        assert seqs[0]["n"] == len({d.record.seq for d in switch.deliveries} - {0}), "not every number of the switch is there"
    finally:
        client.close()


class At(msgspec.Struct, frozen=True):
    partition: int
    offset: int


def _offsets(frame: pl.DataFrame) -> list[At]:
    return [At(*row) for row in frame.select("partition", "offset").iter_rows()]


def undisturbed(journal: Journal, settings: Settings) -> tuple[int, int]:
    """What is sold and bought, as a judge sees it who reads the same `calls` from their beginning and is never disturbed."""
    state = State(load_or_make(settings.state_dir).hash_secret.encode(), partitions=journal.partitions(topics.CALLS))
    contracts_of = from_books(open_books(settings.books_dsn))
    calls = list(messages(journal, topics.CALLS))
    rated = pl.concat([judge(state, calls[start : start + 3000], contracts_of).priced for start in range(0, len(calls), 3000)])
    latest = rated.sort("revision").unique(["partition", "offset"], keep="last")
    return latest["sell_nanos"].sum(), latest["buy_nanos"].sum()
