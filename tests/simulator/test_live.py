"""Live traffic: through the switch's own block table, to the real collector, nothing lost on the way."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from core.record import TICK_KEY, Record
from core.topics import CALLS, CALLS_PARTITIONS
from journal import open_journal
from simulator.live import Progress, live_world, run
from simulator.post import Shipper, to_collector
from switches.collector import serve
from switches.control import Change
from switches.loopback import Loopback
from switches.post import Away, PostError


class Fast:
    """A clock that goes when somebody waits: a minute of traffic in a second."""

    def __init__(self, start_ms: int = 1_772_442_000_000) -> None:
        self.ms = start_ms

    def __call__(self) -> int:
        return self.ms

    def wait(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


def records_of(posts: list[tuple[list[bytes], int]]) -> list[Record]:
    return [msgspec.json.decode(line, type=Record) for lines, _ in posts for line in lines]


def minute(seed: int, switch: Loopback | None = None, on_progress=None, for_s: float = 60.0, **how):
    clock = Fast()
    posts: list[tuple[list[bytes], int]] = []
    switch = switch or Loopback(clock=lambda: clock() / 1000)
    progress = run(
        lambda lines, complete_to_ms: posts.append((lines, complete_to_ms)), switch, seed, 4.0, clock,
        for_s=for_s, wait=clock.wait, on_progress=on_progress, repeat_batch=0.0, **how,
    )  # fmt: skip
    return progress, posts


def test_every_record_has_its_number_and_every_call_its_start_and_its_end() -> None:
    progress, posts = minute(2)
    records = records_of(posts)
    assert [one.seq for one in records] == list(range(1, len(records) + 1))
    assert progress.left == 0
    assert progress.posted == len(records) == progress.truth.records + 1  # and the boot record
    assert records[0].event == "boot"
    calls: dict[str, list[str]] = defaultdict(list)
    for one in records[1:]:
        calls[one.dialog_id].append(one.event)
    assert all(events[0] == "setup" for events in calls.values())
    unended = [events for events in calls.values() if "stop" not in events]
    assert len(unended) <= progress.truth.mess.get("never stopped", 0)


def test_the_first_seconds_are_as_busy_as_later_ones() -> None:
    _, posts = minute(2, for_s=240)
    records = records_of(posts)
    stops = [one for one in records if one.event == "stop"]
    start = 1_772_442_000_000
    early = sum(start < one.at_ms <= start + 60_000 for one in stops)
    late = sum(start + 120_000 < one.at_ms <= start + 180_000 for one in stops)
    assert 0.6 < early / late < 1.6


def test_a_batch_is_complete_to_its_time() -> None:
    _, posts = minute(2)
    complete = 0
    for lines, complete_to_ms in posts:
        assert complete_to_ms >= complete
        for one in records_of([(lines, 0)]):
            assert one.at_ms <= complete_to_ms
            if one.at_ms > 1_772_442_001_000:
                assert one.at_ms >= complete - 1
        complete = complete_to_ms


def test_an_attack_is_visible_soon_and_worth_stopping() -> None:
    progress, posts = minute(3, attack_after_s=10)
    attack = progress.truth.attack
    assert attack is not None
    invites = [one for one in records_of(posts) if one.event == "setup" and one.call_id in set(attack.call_ids)]
    first_20_s = [one for one in invites if one.at_ms < attack.start_ms + 20_000]
    assert 15 <= len(first_20_s) <= 40
    assert len({one.account for one in invites}) == 1
    assert attack.exposure > 60


def test_no_attack_where_the_seed_has_none() -> None:
    assert minute(2)[0].truth.attack is None
    assert minute(3)[0].truth.attack is not None


def test_a_block_refuses_the_next_invites_of_the_guilty_account_alone() -> None:
    clock_switch = Loopback(clock=lambda: 0.0)
    blocked_from: list[int] = []

    def block(progress: Progress) -> None:
        attack = progress.truth.attack
        assert attack is not None
        if len(attack.call_ids) > 20 and not blocked_from:
            for block_range in attack.ranges:
                clock_switch.apply([Change("blocks", f"demo|A|{attack.account}||{block_range}", "order-1", 3600)])
            blocked_from.append(len(attack.call_ids))

    progress, posts = minute(5, clock_switch, block, attack_after_s=5)
    attack = progress.truth.attack
    assert attack is not None
    refused = [one for one in records_of(posts) if one.event == "refused"]
    assert len(refused) == progress.refused == attack.refused > 10
    assert {(one.account, one.order_id, one.sip_code) for one in refused} == {(attack.account, "order-1", 603)}
    assert len(attack.call_ids) - attack.refused == blocked_from[0]
    later = [one for one in records_of(posts) if one.event == "setup" and one.at_ms > refused[0].at_ms]
    assert len({one.account for one in later}) > 5


def test_in_shadow_the_call_passes_and_its_setup_says_what_would_have_been() -> None:
    switch = Loopback(clock=lambda: 0.0)
    account = live_world(2).subscribers[0].name
    switch.apply([Change("shadow", f"demo|A|{account}||", "order-2", 3600)])
    progress, posts = minute(2, switch)
    marked = [one for one in records_of(posts) if one.order_id]
    assert progress.refused == 0
    assert {(one.event, one.account, one.order_id) for one in marked} == {("setup", account, "shadow:order-2")}


def test_a_collector_that_is_away_for_a_while_loses_nothing_and_keeps_the_order() -> None:
    got: list[bytes] = []
    tries = iter(range(10_000))

    def post(lines: list[bytes], complete_to_ms: int) -> None:
        if next(tries) % 3:
            raise Away("not there")
        got.extend(lines)

    with Shipper(post, pause_s=0.001, longest_pause_s=0.002, batch_lines=7) as shipper:
        for no in range(300):
            shipper.put([b"%d" % no], no)
        assert shipper.close(10) == 0
        assert shipper.retries > 0
        assert shipper.last_refusal == "not there"
    assert got == [b"%d" % no for no in range(300)]


def test_what_could_not_be_delivered_in_time_is_counted() -> None:
    def post(lines: list[bytes], complete_to_ms: int) -> None:
        raise PostError("never")

    with Shipper(post, pause_s=0.01) as shipper:
        shipper.put([b"1", b"2"], 1)
        assert shipper.close(0.1) == 2


def test_an_error_that_is_no_refusal_is_raised() -> None:
    def post(lines: list[bytes], complete_to_ms: int) -> None:
        raise TypeError("a bug")

    with Shipper(post) as shipper:
        shipper.put([b"1"], 1)
        with pytest.raises(TypeError, match="a bug"):
            shipper.close(5)


@dataclass(frozen=True)
class Credential:
    tenants: tuple[str, ...] = ("demo",)
    switch: str = "sim1"

    def allows(self, address: str) -> bool:
        return address == "127.0.0.1"


def test_it_all_arrives_in_the_journal_through_the_collector(tmp_path: Path) -> None:
    journal = open_journal(f"files://{tmp_path}/journal")
    ports: list[int] = []
    listening, stop = threading.Event(), threading.Event()

    def tell(port: int) -> None:
        ports.append(port)
        listening.set()

    def collector() -> None:
        serve(
            journal=journal, spool=tmp_path / "spool", find_credential=lambda token: Credential() if token == "t" else None,
            config_version=lambda: 1, listening=tell, stop=stop,
        )  # fmt: skip

    thread = threading.Thread(target=collector)
    thread.start()
    try:
        assert listening.wait(20)
        clock = Fast()
        progress = run(
            to_collector(f"http://127.0.0.1:{ports[0]}", "t"), Loopback(), 3, 4.0, clock, 5.0,
            for_s=20, wait=lambda s: (clock.wait(s), time.sleep(0.002)), repeat_batch=0.0,
        )  # fmt: skip
    finally:
        stop.set()
        thread.join(20)
    assert progress.left == 0
    seqs: list[int] = []
    for partition in range(CALLS_PARTITIONS):
        reader = journal.reader(CALLS, partition, 0)
        while messages := reader.read():
            seqs += [msgspec.json.decode(one.value, type=Record).seq or 0 for one in messages if one.key != TICK_KEY]
        reader.close()
    assert sorted(seqs) == list(range(1, progress.posted + 1))
