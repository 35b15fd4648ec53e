"""The shipper: each line of the spool reaches the journal, whatever is killed, and complete_to is true."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from running_collector import ROOT, TOKEN, CollectorProcess, Running, read_all
from until import until

from books.credentials import Credential
from core.record import TICK_KEY, Tick
from journal import Journal, open_journal
from switches.collector import Limits
from switches.shipper import Pace, ship
from switches.signed_log import SwitchLog, mac_of
from switches.tail import POSITION, Batch, Positions, load_positions, read_batch, remove_spent, store_positions, sync_waiting

Start = Callable[..., Running]
QUICK = Pace(poll_s=0.01, heartbeat_s=0.05, retry_s=0.02, retry_max_s=0.1, denied_s=0.1, slack_ms=50)


def line(seq: int, **more: object) -> bytes:
    return json.dumps({"v": 2, "event": "stop", "switch": "k1", "at_ms": int(time.time() * 1000), "seq": seq, **more}).encode()


def emit(path: Path, record: bytes) -> None:
    """As a worker of the switch writes: one append, with a newline on either side."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(fd, b"\n" + record + b"\n")
    os.close(fd)


def batch_of(
    home: Path, positions: Positions | None = None, *, max_bytes: int = 1 << 20, torn_after_s: float = 5, now_s: float = 0
) -> Batch:
    return read_batch(home, positions or {}, max_bytes=max_bytes, torn_after_s=torn_after_s, now_s=now_s or time.time())


@contextmanager
def shipping(home: Path, url: str, pace: Pace = QUICK, token: str = TOKEN) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(
        target=ship, kwargs={"home": home, "url": url, "token": token, "stop": stop, "pace": pace}, daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "switch"
    path.mkdir()
    return path


# --- reading the spool ----------------------------------------------------------------------------------------------------------


def test_files_are_read_in_the_order_of_their_numbers_and_each_line_once(home: Path) -> None:
    emit(home / "rec-10.jl", b"c")
    emit(home / "rec-9.jl", b"a")
    emit(home / "rec-9.jl", b"b")
    first = batch_of(home)
    assert first.lines == [b"a", b"b", b"c"] and first.complete
    emit(home / "rec-9.jl", b"late, by a worker that had begun before the hour")
    emit(home / "rec-10.jl", b"d")
    second = batch_of(home, first.positions)
    assert second.lines == [b"late, by a worker that had begun before the hour", b"d"]
    assert batch_of(home, second.positions).lines == []


def test_an_unfinished_line_waits_and_a_torn_one_is_posted_when_the_next_follows(home: Path) -> None:
    path = home / "rec-1.jl"
    emit(path, b"whole")
    path.write_bytes(path.read_bytes() + b'\n{"v":2,"acc')
    first = batch_of(home)
    assert first.lines == [b"whole"] and not first.complete
    emit(path, b"next")
    second = batch_of(home, first.positions)
    assert second.lines == [b'{"v":2,"acc', b"next"] and second.complete


def test_an_old_torn_line_is_posted_as_it_is(home: Path) -> None:
    (home / "rec-1.jl").write_bytes(b'\nwhole\n\n{"v":2,"acc')
    assert batch_of(home).lines == [b"whole"]
    late = batch_of(home, now_s=time.time() + 6)
    assert late.lines == [b"whole", b'{"v":2,"acc'] and late.complete


def test_a_batch_has_a_limit_and_with_more_left_is_not_complete(home: Path) -> None:
    for n in range(10):
        emit(home / f"rec-{n // 5}.jl", b"%d" % n * 100)
    got: list[bytes] = []
    positions: Positions = {}
    for _ in range(100):
        batch = batch_of(home, positions, max_bytes=250)
        assert sum(map(len, batch.lines)) <= 250
        got += batch.lines
        positions = batch.positions
        if batch.complete:
            break
    assert got == [b"%d" % n * 100 for n in range(10)]


def test_records_of_the_log_are_read_where_the_switch_has_signed_them(home: Path) -> None:
    log = SwitchLog(home.parent / "kamailio.log", b"a secret")
    said = b" 3(71) ERROR: {1 1 INVITE} app_lua: SPOOL "
    emit(home / "rec-1.jl", b'{"seq":1}')
    log.path.write_bytes(
        b" 0(68) INFO: starting\n"
        + said + mac_of(b'{"seq":2}', log.secret) + b' {"seq":2}\n'
        + said + mac_of(b'{"seq":3}', b"another secret") + b' {"seq":3}\n'
        + b'ERROR: message=<BYE x\nSPOOL unsigned {"seq":4}\n>\n'
        + b" 3(71) ERROR: {1 SPOOL xx {} INVITE} app_lua: SPOOL " + mac_of(b'{"seq":5}', log.secret) + b' {"seq":5}\n'
        + said
    )  # fmt: skip
    first = read_batch(home, {}, max_bytes=1 << 20, torn_after_s=5, now_s=time.time(), log=log)
    assert first.lines == [b'{"seq":1}', b'{"seq":2}', b'{"seq":5}'] and first.forged == 2
    assert not first.complete, "a line of the log is under way"
    with log.path.open("ab") as file:
        file.write(mac_of(b'{"seq":6}', log.secret) + b' {"seq":6}\n')
    second = read_batch(home, first.positions, max_bytes=1 << 20, torn_after_s=5, now_s=time.time(), log=log)
    assert second.lines == [b'{"seq":6}'] and second.complete


def test_a_line_larger_than_a_batch_is_posted_in_parts(home: Path) -> None:
    emit(home / "rec-1.jl", b"x" * 1000)
    emit(home / "rec-1.jl", b"next")
    got: list[bytes] = []
    positions: Positions = {}
    for _ in range(20):
        batch = batch_of(home, positions, max_bytes=300)
        got += batch.lines
        positions = batch.positions
    assert b"".join(got) == b"x" * 1000 + b"next" and got[-1] == b"next"


def test_a_new_file_of_an_old_name_and_one_that_was_cut_are_read_from_their_start(home: Path) -> None:
    path = home / "rec-1.jl"
    emit(path, b"old and long")
    positions = batch_of(home).positions
    fresh = home / "fresh"
    emit(fresh, b"another file of this name")
    fresh.rename(path)
    batch = batch_of(home, positions)
    assert batch.lines == [b"another file of this name"]
    path.write_bytes(b"\nshort\n")
    assert batch_of(home, batch.positions).lines == [b"short"]


def test_positions_outlive_a_restart_and_a_damaged_file_is_refused(home: Path) -> None:
    emit(home / "rec-1.jl", b"a")
    positions = batch_of(home).positions
    store_positions(home / POSITION, positions)
    assert load_positions(home / POSITION) == positions
    (home / POSITION).write_bytes(b"{")
    with pytest.raises(ValueError, match="is not a position file"):
        load_positions(home / POSITION)
    assert load_positions(home / "none") == {}


def test_only_delivered_old_files_are_removed_and_never_the_newest(home: Path) -> None:
    for n in range(4):
        emit(home / f"rec-{n}.jl", b"a")
    positions = batch_of(home).positions
    emit(home / "rec-1.jl", b"not delivered")
    sync_waiting(home, positions)
    assert remove_spent(home, positions, keep_s=60, now_s=time.time()) == []
    assert remove_spent(home, positions, keep_s=60, now_s=time.time() + 61) == ["rec-0.jl", "rec-2.jl"]
    assert [path.name for path in sorted(home.glob("rec-*"))] == ["rec-1.jl", "rec-3.jl"]


# --- shipping -------------------------------------------------------------------------------------------------------------------


def test_records_of_several_workers_arrive_once(start_collector: Start, home: Path) -> None:
    one = start_collector()

    def work(worker: int) -> None:
        for n in range(100):
            emit(home / f"rec-{n // 25}.jl", line(worker * 100 + n, account=f"a{worker}"))
            time.sleep(0.001)

    with shipping(home, one.url):
        workers = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        until(lambda: len(one.records()) >= 400)
    with shipping(home, one.url):  # again, from the stored place
        emit(home / "rec-4.jl", line(400))
        until(lambda: len(one.records()) >= 401)
    assert sorted(json.loads(value)["seq"] for value in one.records()) == list(range(401))


def test_complete_to_is_true(start_collector: Start, home: Path) -> None:
    one = start_collector(tick_s=0.02)
    with shipping(home, one.url):
        for seq in range(300):
            emit(home / "rec-1.jl", line(seq, account="acme"))
            time.sleep(0.002)
        until(lambda: len(one.records()) == 300)
        last_ms = max(json.loads(value)["at_ms"] for value in one.records())
        until(lambda: _complete_to(one) > last_ms)
    partition = next(p for p in range(4) if any(m.key != TICK_KEY for m in read_all(one.journal, p)))
    latest_ms = 0
    moved: set[int] = set()
    for message in read_all(one.journal, partition):
        if message.key == TICK_KEY:
            latest_ms = msgspec.json.decode(message.value, type=Tick).complete_to_ms.get("k1", latest_ms)
            moved.add(latest_ms)
        else:
            assert json.loads(message.value)["at_ms"] > latest_ms
    assert len(moved) > 3


def _complete_to(one: Running) -> int:
    return msgspec.json.decode(one.ticks()[-1], type=Tick).complete_to_ms.get("k1", 0)


def test_while_a_spool_drains_complete_to_is_not_sent(start_collector: Start, home: Path) -> None:
    for seq in range(2000):
        emit(home / f"rec-{seq // 500}.jl", line(seq))
    one = start_collector(tick_s=0.02)
    with shipping(home, one.url, Pace(batch_bytes=2_000, heartbeat_s=0.05)):
        until(lambda: _complete_to(one), within_s=30)
    partition = next(p for p in range(4) if any(m.key != TICK_KEY for m in read_all(one.journal, p)))
    records = during = 0
    for message in read_all(one.journal, partition):
        if message.key != TICK_KEY:
            records += 1
        elif msgspec.json.decode(message.value, type=Tick).complete_to_ms:
            assert records == 2000
        else:
            during += 0 < records < 2000
    assert during > 1
    assert [json.loads(value)["seq"] for value in one.records()] == list(range(2000))


def test_a_token_that_is_not_allowed_loses_nothing(start_collector: Start, home: Path) -> None:
    allowed: list[str] = []
    one = start_collector(find_credential=lambda token: Credential(("t1",), "k1") if token in allowed else None)
    emit(home / "rec-1.jl", line(1))
    with shipping(home, one.url, token="not yet"):
        time.sleep(0.3)
        assert one.records() == []
        allowed.append("not yet")
        until(one.records)


def test_a_413_makes_posts_smaller(start_collector: Start, home: Path) -> None:
    one = start_collector(limits=Limits(body_bytes=20_000))
    for seq in range(500):
        emit(home / "rec-1.jl", line(seq))
    with shipping(home, one.url):
        until(lambda: len(one.records()) == 500)


def test_a_spool_must_exist_and_has_one_shipper(start_collector: Start, home: Path, tmp_path: Path) -> None:
    one = start_collector()
    with pytest.raises(FileNotFoundError, match="there is no spool at"):
        ship(home=tmp_path / "nowhere", url=one.url, token=TOKEN, stop=threading.Event())
    with shipping(home, one.url):
        until(lambda: (home / "shipper.lock").exists())
        time.sleep(0.1)
        with pytest.raises(RuntimeError, match="has a shipper already"):
            ship(home=home, url=one.url, token=TOKEN, stop=threading.Event())


# --- kills ----------------------------------------------------------------------------------------------------------------------


class Load:
    """Three workers of a switch that write until they are stopped."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stop = threading.Event()
        self._next = iter(range(10**9))
        self._lock = threading.Lock()
        self.written = 0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(3)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                seq = next(self._next)
                self.written = seq + 1
            emit(self._home / f"rec-{seq // 700}.jl", line(seq, account=f"a{seq % 11}"))
            time.sleep(0.002)

    def end(self) -> int:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.written


def test_nothing_is_lost_when_collector_and_shipper_are_killed_under_load(
    collector_process: CollectorProcess, home: Path
) -> None:
    chance = random.Random(11)
    journal = open_journal(f"files://{collector_process.home}/journal")
    collector_process.start()
    shipper = _shipper(home, collector_process.url)
    load = Load(home)
    try:
        for turn in range(8):
            time.sleep(chance.uniform(0.1, 0.5))
            if turn % 3 != 2:
                collector_process.kill()
                time.sleep(chance.uniform(0, 0.3))
                collector_process.start()
            else:
                shipper.kill()
                shipper.wait()
                shipper = _shipper(home, collector_process.url)
        written = load.end()
        until(lambda: len(set(_seqs(journal))) == written, within_s=60)
    finally:
        load.end()
        shipper.kill()
        shipper.wait()
    seqs = _seqs(journal)
    assert set(seqs) == set(range(written)) and written > 300
    assert len(seqs) < 3 * written  # what is posted again is what was under way, not everything
    for partition in range(4):
        assert read_all(journal, partition)[0].key == TICK_KEY


def _shipper(home: Path, url: str) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("shipper_process.py")
    with (home.parent / "shipper.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(script), str(home), url, TOKEN], stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )


def _seqs(journal: Journal) -> list[int]:
    return [json.loads(m.value)["seq"] for partition in range(4) for m in read_all(journal, partition) if m.key != TICK_KEY]
