"""Faults during calls lose no record, no second and no block."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import Any

import httpx2
import msgspec
import pytest
from kamailio_calls import Sipp, refused, talk
from raw_sip import Phone
from real_chain import Chain, Customer, enforcing

from core.topics import CALLS
from journal import Journal, Locked, Writer, open_journal

pytestmark = [pytest.mark.kamailio, pytest.mark.slow]

AWAY_S = 20
EVENTS = ["setup", "ringing", "answer", "stop"]


def load(chain: Chain, who: Customer, calls: int, talk_ms: int = 800, rate: float = 10) -> Sipp:
    return chain.call(who, "43123450100", talk(talk_ms), calls=calls, rate=rate)


def assert_paid_once(chain: Chain, who: Customer, calls: int, talk_ms: int) -> list[dict[str, Any]]:
    """Each call has one row, of its real length."""
    rows = chain.wait_rated(who, calls, 30)
    assert len(rows) == calls == len({row["call_key"] for row in rows})
    lengths = [row["duration_ms"] for row in rows]
    assert abs(statistics.median(lengths) - talk_ms) < 50 and min(lengths) > talk_ms - 50
    assert all(row["sell_nanos"] == 10_000_000 + 1_000_000 * row["billable_s"] for row in rows)
    return rows


def test_the_collector_killed_and_down_for_20_s_under_load_loses_nothing(chain: Chain) -> None:
    one, two = chain.customer(), chain.customer()
    going = [load(chain, one, 230), load(chain, two, 230)]
    time.sleep(1.5)
    chain.kill("collector")
    time.sleep(AWAY_S)
    chain.start("collector")
    for sipp in going:
        sipp.finish(30)
    assert_paid_once(chain, one, 230, 800)
    assert_paid_once(chain, two, 230, 800)
    chain.assert_nothing_is_lost()


def test_a_journal_outage_of_20_s_is_spooled_and_caught_up_in_order(chain: Chain) -> None:
    who = chain.customer()
    chain.kill("collector")
    journal = open_journal(chain.settings.journal_dsn)
    going = load(chain, who, 200)
    with ExitStack() as stack:
        for partition in range(journal.partitions(CALLS)):  # another writer has it, as if the broker were down
            stack.callback(chain.until(lambda p=partition: taken(journal, p), 5).close)
        chain.start("collector")
        time.sleep(AWAY_S)
        health = httpx2.get(f"{chain.settings.collector_url}/v1/health", trust_env=False).json()
        assert health["spooling"] and health["waiting"] > 500, health
    going.finish(30)
    rows = assert_paid_once(chain, who, 200, 800)
    chain.assert_nothing_is_lost()
    (partition,) = {row["partition"] for row in rows}
    calls: dict[str, list[str]] = {}
    for at, message in chain.journalled():
        record = msgspec.json.decode(message.value)
        if at == partition and record.get("account") == who.account and record["event"] in EVENTS:
            calls.setdefault(record["dialog_id"], []).append(record["event"])
    assert list(calls.values()) == [EVENTS] * 200


def taken(journal: Journal, partition: int) -> Writer | None:
    try:
        return journal.writer(CALLS, partition)
    except Locked:  # the killed collector has not released it yet
        return None


def test_kamailio_killed_under_load_has_its_blocks_back_and_bills_nothing_twice(chain: Chain) -> None:
    talking, blocked = chain.customer(), chain.customer()
    with enforcing(chain):
        chain.ask("block", "--account", blocked.account, "--b-range", "43699", "--why", "a test")
        chain.until(lambda: chain.held(blocked, "43699"), 30, "the block")
        going = load(chain, talking, 60, talk_ms=6000, rate=30)
        time.sleep(3)  # all calls are answered
        chain.bench.restart()
        began = time.monotonic()
        chain.until(lambda: chain.held(blocked, "43699"), 30, "the block once more")
        assert time.monotonic() - began < 8
        chain.call(blocked, "436993450100", refused()).finish()
        going.finish(30)
    assert_paid_once(chain, talking, 60, 6000)
    assert {r["disposition"] for r in chain.stored(talking)} == {"event", "rated"}
    chain.assert_nothing_is_lost()


def test_with_all_parts_killed_calls_go_on_and_a_block_ends_on_time(chain: Chain) -> None:
    honest, blocked = chain.customer(), chain.customer()
    with enforcing(chain):
        chain.ask("block", "--account", blocked.account, "--b-range", "43699", "--ttl", "8s", "--why", "a test")
        ordered = time.monotonic()
        chain.until(lambda: chain.held(blocked, "43699"), 30, "the block")
        chain.kill()
        going = load(chain, honest, 60)
        chain.call(blocked, "436993450100", refused()).finish()
        time.sleep(max(0.0, ordered + 9.1 - time.monotonic()))  # Kamailio counts whole seconds
        chain.call(blocked, "436993450100", talk(200)).finish()
        going.finish(30)
        chain.start_all()
        assert_paid_once(chain, honest, 60, 800)
    assert len(chain.wait_rated(blocked, 1)) == 1
    chain.assert_nothing_is_lost()


def test_with_the_spools_disk_full_records_come_in_from_the_log_and_nobody_can_forge_one(chain: Chain) -> None:
    who = chain.customer()
    settings = chain.bench.running.settings
    span = int(time.time()) // settings.spool_span_s
    full = [settings.spool_dir / f"rec-{span + n:010}.jl" for n in (1, 2)]  # the next two files cannot be written
    forged = f'SPOOL unsigned {{"v":2,"event":"stop","switch":"k1","account":"{who.account}","call_id":"forged"}}'
    for path in full:
        path.symlink_to("/dev/full")
    try:
        time.sleep((span + 1) * settings.spool_span_s - time.time() + 0.1)
        going = load(chain, who, 50, talk_ms=600)
        with Phone(who.address) as stranger:
            stranger.send(b"INVITE sip:1@x SIP/2.0\r\nVia: nonsense\r\n\r\n" + forged.encode() + b"\r\n", chain.bench.address)
        going.finish(30)
    finally:
        for path in full:  # these device files have no end and must not be read
            path.unlink()
    log = chain.bench.running.log.read_bytes()
    assert log.count(b"SPOOL ") >= 150
    assert_paid_once(chain, who, 50, 600)
    chain.assert_nothing_is_lost()
    assert not [r for r in chain.stored(who) if r["call_id"] == "forged"]
    if forged.encode() in log:
        assert "not signed by the switch" in chain.log("shipper")
