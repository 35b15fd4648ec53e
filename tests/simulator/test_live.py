"""Live traffic: through the switch's block table to the real collector, without a lost record."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path

import msgspec

from books.credentials import Credential
from core.record import TICK_KEY, Record
from core.topics import CALLS, CALLS_PARTITIONS
from journal import open_journal
from simulator.live import Progress, live_world, run
from simulator.spool import Spool
from switches.collector import serve
from switches.control import Change
from switches.loopback import Loopback
from switches.shipper import ship
from switches.tail import backlog_bytes, files_of, read_batch


class Fast:
    """A clock that goes when somebody waits: a minute of traffic in a second."""

    def __init__(self, start_ms: int = 1_772_442_000_000) -> None:
        self.ms = start_ms

    def __call__(self) -> int:
        return self.ms

    def wait(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


def minute(seed: int, switch: Loopback | None = None, on_progress=None, for_s: float = 60.0, **how):
    clock = Fast()
    written: list[bytes] = []
    switch = switch or Loopback(clock=lambda: clock() / 1000)
    progress = run(
        written.extend, switch, seed, 4.0, clock,
        for_s=for_s, wait=clock.wait, on_progress=on_progress, repeat_batch=0.0, **how,
    )  # fmt: skip
    return progress, [msgspec.json.decode(line, type=Record) for line in written]


def test_every_record_has_its_number_and_every_call_its_start_and_its_end() -> None:
    progress, records = minute(2)
    assert [one.seq for one in records] == list(range(1, len(records) + 1))
    assert progress.written == len(records) == progress.truth.records + 1  # and the boot record
    assert records[0].event == "boot"
    calls: dict[str, list[str]] = defaultdict(list)
    for one in records[1:]:
        calls[one.dialog_id].append(one.event)
    assert all(events[0] == "setup" for events in calls.values())
    unended = [events for events in calls.values() if "stop" not in events]
    assert len(unended) <= progress.truth.mess.get("never stopped", 0)


def test_the_first_seconds_are_as_busy_as_later_ones() -> None:
    _, records = minute(2, for_s=240)
    stops = [one for one in records if one.event == "stop"]
    start = 1_772_442_000_000
    early = sum(start < one.at_ms <= start + 60_000 for one in stops)
    late = sum(start + 120_000 < one.at_ms <= start + 180_000 for one in stops)
    assert 0.6 < early / late < 1.6


def test_an_attack_is_loud_from_its_first_seconds() -> None:
    progress, records = minute(3, attack_after_s=10)
    attack = progress.truth.attack
    assert attack is not None
    invites = [one for one in records if one.event == "setup" and one.call_id in set(attack.call_ids)]
    first_20_s = [one for one in invites if one.at_ms < attack.start_ms + 20_000]
    assert 15 <= len(first_20_s) <= 40
    assert len({one.account for one in invites}) == 1
    assert attack.exposure > 60


def test_no_attack_where_the_seed_has_none() -> None:
    assert minute(2)[0].truth.attack is None
    assert minute(3)[0].truth.attack is not None


def test_a_block_refuses_the_next_invites_of_the_attacked_account_only() -> None:
    clock_switch = Loopback(clock=lambda: 0.0)
    blocked_from: list[int] = []

    def block(progress: Progress) -> None:
        attack = progress.truth.attack
        assert attack is not None
        if len(attack.call_ids) > 20 and not blocked_from:
            for block_range in attack.ranges:
                clock_switch.apply([Change("blocks", f"demo|A|{attack.account}||{block_range}", "order-1", 3600)])
            blocked_from.append(len(attack.call_ids))

    progress, records = minute(5, clock_switch, block, attack_after_s=5)
    attack = progress.truth.attack
    assert attack is not None
    refused = [one for one in records if one.event == "refused"]
    assert len(refused) == progress.refused == attack.refused > 10
    assert {(one.account, one.order_id, one.sip_code) for one in refused} == {(attack.account, "order-1", 603)}
    assert len(attack.call_ids) - attack.refused == blocked_from[0]
    later = [one for one in records if one.event == "setup" and one.at_ms > refused[0].at_ms]
    assert len({one.account for one in later}) > 5


def test_in_shadow_the_call_passes_and_its_setup_names_the_order() -> None:
    switch = Loopback(clock=lambda: 0.0)
    account = live_world(2).subscribers[0].name
    switch.apply([Change("shadow", f"demo|A|{account}||", "order-2", 3600)])
    progress, records = minute(2, switch)
    marked = [one for one in records if one.order_id]
    assert progress.refused == 0
    assert {(one.event, one.account, one.order_id) for one in marked} == {("setup", account, "shadow:order-2")}


def test_the_spool_continues_in_the_next_file(tmp_path: Path) -> None:
    with Spool(tmp_path, "1700000000.000000", file_bytes=100) as spool:
        for n in range(30):
            spool.write([b"%d" % n] * 3)
    batch = read_batch(tmp_path, {}, max_bytes=1 << 20, torn_after_s=5, now_s=0)
    assert batch.lines == [b"%d" % n for n in range(30) for _ in range(3)] and batch.complete
    assert len(files_of(tmp_path)) > 2


def test_all_records_arrive_in_the_journal(tmp_path: Path) -> None:
    journal = open_journal(f"files://{tmp_path}/journal")
    ports: list[int] = []
    listening, stop, shipped = threading.Event(), threading.Event(), threading.Event()

    def tell(port: int) -> None:
        ports.append(port)
        listening.set()

    def collector() -> None:
        serve(
            journal=journal, spool=tmp_path / "waiting", find_credential={"t": Credential(("demo",), "sim1", ("127.0.0.1",))}.get,
            config_version=lambda: 1, listening=tell, stop=stop,
        )  # fmt: skip

    home = tmp_path / "spool"
    home.mkdir()
    thread = threading.Thread(target=collector)
    thread.start()
    try:
        assert listening.wait(20)
        shipper = threading.Thread(target=lambda: ship(home=home, url=f"http://127.0.0.1:{ports[0]}", token="t", stop=shipped))
        shipper.start()
        clock = Fast()
        with Spool(home, "1772442000.000000") as spool:
            progress = run(spool.write, Loopback(), 3, 4.0, clock, 5.0, for_s=20, wait=clock.wait, repeat_batch=0.0)
        until_s = time.monotonic() + 20
        while backlog_bytes(home) and time.monotonic() < until_s:
            time.sleep(0.05)
        shipped.set()
        shipper.join(20)
    finally:
        stop.set()
        thread.join(20)
    seqs: list[int] = []
    for partition in range(CALLS_PARTITIONS):
        reader = journal.reader(CALLS, partition, 0)
        while messages := reader.read():
            seqs += [msgspec.json.decode(one.value, type=Record).seq or 0 for one in messages if one.key != TICK_KEY]
        reader.close()
    assert sorted(seqs) == list(range(1, progress.written + 1))
