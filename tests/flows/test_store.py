"""store: whatever is killed, down, full or hanging, each row counts once in the end."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import flows.store as store
from core import schemas
from core.record import TICK_KEY
from core.topics import CALLS, JUDGED
from flows.batches import to_values
from flows.store import Pace, Reading, StoreError
from journal import Entry, Journal, create_topics, open_journal
from services.completeness import coverage
from warehouse import WarehouseDown, WarehouseHeld, ask, open_warehouse, queries

ROOT = Path(__file__).parents[2]
NOON = 1_764_072_000_000
QUICK = Pace(full_bytes=20_000, linger_s=0.2, epoch_s=0.1, retry_s=5.0, stall_s=10.0)


class House:
    """A journal with judged calls in it, and the store's arguments."""

    def __init__(self, home: Path) -> None:
        self.journal_dsn, self.warehouse_dsn = f"files://{home}/journal", f"chdb://{home}/warehouse"
        self.state_dir = home / "state" / "store"
        self.journal: Journal = open_journal(self.journal_dsn)
        create_topics(self.journal)
        self.next = [0, 0, 0, 0]

    def store(self, **more: Any) -> None:
        arguments: dict[str, Any] = {
            "journal_dsn": self.journal_dsn,
            "warehouse_dsn": self.warehouse_dsn,
            "state_dir": self.state_dir,
        }
        store.run(**arguments | {"pace": QUICK, "until_end": True} | more)

    def judge(self, partition: int, calls: int, revision: int = 1) -> None:
        """`calls` more calls of 1.000000001 EUR each, as judge writes them: their stops, their facts and their money, a batch of each."""
        first = self.next[partition]
        self.next[partition] += calls
        offsets = range(first, first + calls)
        place = {"tenant": "t1", "switch": "k1", "partition": partition, "account": "acme"}
        records = [
            place | {"offset": n, "seq": n, "boot_id": f"b{partition}", "event": "stop", "learned_ms": NOON + n} for n in offsets
        ]
        calls_ = [place | {"offset": n, "revision": revision, "record_partition": partition, "learned_ms": NOON} for n in offsets]
        charges = [call | {"role": "sell", "party": "acme", "nanos": 1_000_000_001, "currency": "EUR"} for call in calls_]
        judged = self.journal.writer(JUDGED, partition)
        for name, rows in (("records", records), ("calls", calls_), ("charges", charges)):
            schema = schemas.TABLES[name]
            blank = {column: "" if dtype == pl.String else 0 if dtype == pl.Int32 else None for column, dtype in schema.items()}
            extra = {"disposition": "rated"} if name == "records" else {}
            frame = pl.DataFrame([{name: (blank | extra | row)[name] for name in schema} for row in rows], schema=schema)
            judged.append([Entry(name.encode(), value, NOON) for value in to_values(frame)])
        judged.close()

    def counts(self) -> tuple[int, int, Decimal]:
        """Records, calls and money, as the warehouse's views have them."""
        client = open_warehouse(self.warehouse_dsn)
        try:
            [totals], money = ask(client, queries.totals()), ask(client, queries.money())
            return totals["received"], sum(m["calls"] for m in money), sum((m["sell"] for m in money), Decimal(0))
        finally:
            client.close()

    def exact(self) -> tuple[int, int, Decimal]:
        return sum(self.next), sum(self.next), Decimal(sum(self.next)) * Decimal("1.000000001")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_was_judged_is_stored_and_read_on_from_there(house):
    for partition in range(4):
        house.judge(partition, 50)
    house.store()
    assert house.counts() == house.exact()
    house.judge(2, 30)
    house.store()
    assert house.counts() == house.exact()


def test_a_lost_recovery_store_costs_time_and_no_row_twice(house):
    house.judge(0, 100)
    house.judge(1, 100)
    house.store()
    house.store(state_dir=house.state_dir.with_name("another"))  # reads all of it again
    assert house.counts() == house.exact()


KILLED = """
import os, signal, sys
from pathlib import Path
import flows.store as store

real, left = store.insert, int(sys.argv[4])

def insert(client, table, rows):
    global left
    real(client, table, rows)
    if table == "records":
        with open(sys.argv[5], "a") as told:
            print(*(f"{p}/{o}" for p, o in zip(rows["partition"].to_pylist(), rows["offset"].to_pylist())), file=told)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

store.insert = insert
pace = store.Pace(full_bytes=3000, linger_s=0.05, epoch_s=0.02)
store.run(journal_dsn=sys.argv[1], warehouse_dsn=sys.argv[2], state_dir=Path(sys.argv[3]), pace=pace, until_end=True)
"""


def run_killed(house: House, after_inserts: int, told: Path) -> int:
    arguments = [house.journal_dsn, house.warehouse_dsn, str(house.state_dir), str(after_inserts), str(told)]
    return subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, timeout=60).returncode


def test_killed_between_an_insert_and_its_snapshot_and_counts_are_exact(house, tmp_path):
    for partition in range(4):
        for _ in range(6):
            house.judge(partition, 10)
    told = tmp_path / "told"
    for after_inserts in (1, 2, 3, 5, 4):
        assert run_killed(house, after_inserts, told) == -signal.SIGKILL
    assert run_killed(house, 0, told) == 0
    stored = told.read_text().split()
    assert len(stored) > len(set(stored)), "some rows were stored, killed before the snapshot, and stored again"
    assert len(set(stored)) == sum(house.next)
    assert house.counts() == house.exact()


def test_it_is_served_while_it_is_stored(house):
    house.judge(0, 10)
    urls: list[str] = []
    token = "a-token-of-this-test"
    program = (
        "import sys; from pathlib import Path; import flows.store as s; "
        "s.run(journal_dsn=sys.argv[1], warehouse_dsn=sys.argv[2], state_dir=Path(sys.argv[3]), "
        "pace=s.Pace(linger_s=0.2, epoch_s=0.5), "
        "reading=s.Reading('127.0.0.1', 0, sys.argv[4]), on_ready=lambda url: print(url, flush=True))"
    )
    arguments = [house.journal_dsn, house.warehouse_dsn, str(house.state_dir), token]
    child = subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        urls.append(child.stdout.readline().strip())
        reader = open_warehouse(urls[0].replace("http://", f"http://reader:{token}@"))
        house.judge(1, 1)  # a lone call, and then silence
        started = time.monotonic()
        while ask(reader, queries.totals())[0]["received"] < 11:  # the table that is written last
            assert time.monotonic() - started < 30, "a lone record is stored without others after it"
            time.sleep(0.02)
        reader.close()
        with pytest.raises(WarehouseHeld, match=f"process {child.pid} "):
            open_warehouse(house.warehouse_dsn)
        with pytest.raises(StoreError, match=f"process {child.pid} "):
            house.store(state_dir=house.state_dir.with_name("second"))
    finally:
        child.terminate()
        child.wait(10)
        child.stdout.close()
    assert house.counts() == house.exact()


def test_a_warehouse_that_comes_back_gets_everything(house, monkeypatch, caplog):
    house.judge(0, 40)
    real, fails = store.insert, iter(range(3))

    def flaky(client, table, rows):
        if next(fails, None) is not None:
            raise WarehouseDown("the warehouse at chdb:///x: no room")
        return real(client, table, rows)

    monkeypatch.setattr(store, "insert", flaky)
    with caplog.at_level(logging.WARNING, "ringfence.store"):
        house.store()
    assert caplog.records[0].message.startswith("the warehouse at chdb:///x: no room")
    assert len(caplog.records) == 2, "one word when it goes, one when it comes back"
    assert house.counts() == house.exact()


def test_a_warehouse_that_stays_away_is_a_clear_error_and_nothing_is_lost(house, monkeypatch):
    house.judge(0, 40)

    def down(client, table, rows):
        raise WarehouseDown("the warehouse at chdb:///x: no room")

    with monkeypatch.context() as away:
        away.setattr(store, "insert", down)
        with pytest.raises(StoreError, match=r"no room\. Tried for 0\.5 s; the rows stay in the journal"):
            house.store(pace=Pace(retry_s=0.5, epoch_s=0.1))
    house.store()
    assert house.counts() == house.exact()


def test_no_warehouse_at_the_address(house):
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9.*Tried for 0\.5 s") as down:
        house.store(warehouse_dsn="http://writer:secret@127.0.0.1:9", pace=Pace(retry_s=0.5))
    assert "secret" not in str(down.value) and time.monotonic() - started < 10


def test_a_warehouse_that_takes_the_call_and_says_nothing(house):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreError, match=rf"127\.0\.0\.1:{port}"):
            house.store(warehouse_dsn=f"http://127.0.0.1:{port}", pace=Pace(retry_s=0.2, answer_s=1.0))


def test_a_warehouse_that_hangs_for_a_while_delays_rows_and_loses_none(house, monkeypatch):
    for _ in range(5):
        house.judge(0, 40)
    real, hang = store.insert, threading.Event()
    threading.Timer(1.5, hang.set).start()

    def hanging(client, table, rows):
        hang.wait(10)
        return real(client, table, rows)

    monkeypatch.setattr(store, "insert", hanging)
    house.store(pace=Pace(full_bytes=3000, epoch_s=0.1, stall_s=10.0))
    assert house.counts() == house.exact()


def test_a_warehouse_that_hangs_for_good_is_named_and_nothing_is_lost(house, monkeypatch):
    house.judge(0, 40)
    real, hang = store.insert, threading.Event()
    with monkeypatch.context() as hanging:
        hanging.setattr(store, "insert", lambda client, table, rows: hang.wait(5.5) and real(client, table, rows))
        with pytest.raises(StoreError, match=r"does not answer: for 0\.5 s"):
            house.store(pace=Pace(epoch_s=0.1, stall_s=0.5))
        hang.set()
        time.sleep(0.5)
    house.store()
    assert house.counts() == house.exact()


STORED = """
import sys
from pathlib import Path
import flows.store as store

pace = store.Pace(full_bytes=3000, linger_s=0.05, epoch_s=0.01)
try:
    store.run(journal_dsn=sys.argv[1], warehouse_dsn=sys.argv[2], state_dir=Path(sys.argv[3]), pace=pace, until_end=True)
except store.StoreError as error:
    print(error)
    sys.exit(3)
"""


def fill(disk: Path) -> Path:
    """Writes until there is no room; remove the file to make some."""
    filling = disk / "filling"
    with open(filling, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 1024)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return filling


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system with no room to speak of; root may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True).returncode == 0
    )
    if not mounted:
        word = "mounting a small file system needs root"
        if os.environ.get("RINGFENCE_REQUIRE") == "all":
            pytest.fail(word)
        pytest.skip(word)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_for_the_recovery_store_is_a_clear_error_and_nothing_is_lost(house, small_disk):
    house.judge(0, 40)
    state_dir = small_disk / "state"
    house.store(state_dir=state_dir)
    filling = fill(small_disk)
    for _ in range(60):
        house.judge(0, 10)
    full = subprocess.run(
        [sys.executable, "-c", STORED, house.journal_dsn, house.warehouse_dsn, str(state_dir)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert full.returncode == 3, full.stderr
    assert f"the recovery store in {state_dir} cannot be written" in full.stdout and "make room and start again" in full.stdout
    filling.unlink()
    house.store(state_dir=state_dir)
    assert house.counts() == house.exact()


def test_no_room_even_to_make_the_recovery_store(house, small_disk):
    house.judge(0, 10)
    filling = fill(small_disk)
    with pytest.raises(StoreError, match=r"the recovery store in .* cannot be written"):
        house.store(state_dir=small_disk / "state")
    filling.unlink()
    house.store(state_dir=small_disk / "state")
    assert house.counts() == house.exact()


def test_what_is_no_batch_stops_the_flow_and_is_named(house):
    house.judge(0, 10)
    writer = house.journal.writer(JUDGED, 1)
    writer.append([Entry(b"records", b"not Arrow", NOON)])
    writer.close()
    with pytest.raises(StoreError, match=r"offset 0 of judged/1 is not an Arrow batch"):
        house.store()
    writer = house.journal.writer(JUDGED, 2)
    writer.append([Entry(b"rated", b"", NOON)])
    writer.close()
    with pytest.raises(StoreError, match=r"judged/[12] "):
        house.store()


def test_every_offset_is_a_row_or_a_tick_or_is_named(house):
    calls = house.journal.writer(CALLS, 0)
    house.judge(0, 3)  # rows for offsets 0, 1, 2
    calls.append([Entry(b"t1\x1facme", b"{}", NOON)] * 3)
    calls.append([Entry(TICK_KEY, b"{}", NOON)] * 2)
    house.next[0] = 5
    house.judge(0, 2)  # and for 5, 6
    calls.append([Entry(b"t1\x1facme", b"{}", NOON)] * 4)  # 7 and 8 are judged by nobody
    calls.close()
    house.store()
    client = open_warehouse(house.warehouse_dsn)
    try:
        ends = {p: house.journal.end_offset(CALLS, p) for p in range(4)}
        first, *others = coverage(house.journal, client, ends)
        assert (first.received, first.ticks, first.lost, first.unexplained) == (5, 2, [7, 8], 0)
        assert all((c.received, c.ticks, c.lost) == (0, 0, []) for c in others)
        assert coverage(house.journal, client)[0].lost == [], "up to what was stored, nothing is missing"
    finally:
        client.close()


def test_stored_names_are_what_they_were():
    """The recovery store keeps the offsets under these: another name reads everything again, or nothing."""
    from flows.journal_source import part_name

    assert (store.FLOW, store.SOURCE_STEP, store.SINK_STEP, store.SINK_PART) == ("store", "judged", "warehouse", "warehouse")
    assert part_name(JUDGED, 3) == "judged/3" and store.RECOVERY_PARTITIONS == 1


def test_serving_needs_an_embedded_warehouse(house):
    with pytest.raises(StoreError, match="127"):
        house.store(warehouse_dsn="http://127.0.0.1:9", reading=Reading("127.0.0.1", 0, "x" * 20), pace=Pace(retry_s=0.1))
