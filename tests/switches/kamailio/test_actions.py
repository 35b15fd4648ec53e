"""What orders and lists do besides refusing new calls: from the books through the dispatcher to a real Kamailio and a real call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kamailio_calls import (
    ACME,
    BLUE,
    TOKEN,
    Bench,
    Source,
    ack,
    expect,
    invite,
    ok_in_call,
    picks_up,
    provisional,
    receive,
    scenario,
)
from raw_sip import Phone

from books import Connection, configs, migrate, open_books, switches, tenants, writing
from books.deliveries import SOURCES
from core.config import Account, Carrier, Config, Trunk
from core.numbers import DialPlan
from core.orders import Key
from core.parts import encode_part, hash_of, split
from core.policy import Policy
from core.topics import BLOCK_ORDERS, FINDINGS
from journal import open_journal
from services import blocks, lists
from switches.control import Change
from switches.dispatcher import Dispatcher

pytestmark = pytest.mark.kamailio
NewBench = Callable[..., Bench]
REDRESS = "url=https://carrier.example/blocked;tel=+14155550100"


def holds_on() -> str:
    """A caller who talks until we end the call."""
    return scenario(invite(), provisional(), expect(200, rrs=True), ack(), receive("BYE"), ok_in_call())


def answer_of(bench: Bench, number: str, source: str = ACME, caller: str = "4319990001") -> bytes:
    """The final answer to one INVITE."""
    with Phone(source) as phone:
        phone.send(phone.invite(number, to=bench.address, from_value=f"<sip:{caller}@{source}>".encode()), bench.address)
        for _ in range(20):
            message, _ = phone.receive()
            if message.startswith(b"SIP/2.0 1"):
                continue
            return message
    raise AssertionError("no final answer")


def code_of(bench: Bench, number: str, source: str = ACME) -> int:
    return int(answer_of(bench, number, source).split()[1])


@contextmanager
def house(bench: Bench, home: Path) -> Iterator[tuple[Callable[[], Connection], Dispatcher]]:
    """Books whose config is that of the bench, and a dispatcher for its switch, which enforces."""
    engine = open_books(f"{home}/books.db")
    migrate(engine)
    now_ms = round(time.time() * 1000)
    config = Config(
        accounts=(Account(tenant="t1", name="acme"), Account(tenant="t1", name="blue")),
        carriers=(Carrier(tenant="t1", name="alpha"),),
        trunks=(
            Trunk(tenant="t1", name="in-acme", account="acme", sources=(ACME,)), Trunk(tenant="t1", name="in-blue", account="blue", sources=(BLUE,)),
            Trunk(tenant="t1", name="out", carrier="alpha", address=f"127.0.0.1:{bench.carrier_ports[0]}"),
        ),
        policies={"t1": Policy(redress=REDRESS)},
    )  # fmt: skip
    parts = {slot: encode_part(content) for slot, content in split(config).items()}
    with writing(engine) as conn:
        tenants.add(conn, "t1", now_ms)
        configs.add(conn, {slot: hash_of(data) for slot, data in parts.items()}, parts, "ann", "w", now_ms)
        switches.add(conn, "k1", "kamailio", bench.running.control_url, TOKEN, now_ms)
        switches.set_enforcing(conn, "k1", "t1", True, "ann", "w", now_ms)
    journal = open_journal(f"files://{home}/journal")
    for topic in (BLOCK_ORDERS, FINDINGS):
        journal.create(topic, 1)
    dispatcher = Dispatcher(engine, journal, clock=lambda: round(time.time() * 1000), holder="test")
    try:
        dispatcher.step()
        yield lambda: writing(engine), dispatcher  # type: ignore[misc]
    finally:
        dispatcher.close()
        engine.dispose()


def test_a_block_that_cuts_ends_its_calls_and_no_other_and_never_an_emergency_call(new_bench: NewBench):
    bench = new_bench()
    bench.callee(picks_up(ring_ms=0))
    pumped = bench.caller(holds_on(), "8821312345")
    other, emergency, _ = (bench.caller(holds_on(), number) for number in ("4312345678", "112", "8821312399"))
    bench.wait_for("answer", 4, 20)
    control = bench.control()
    control.apply([Change("blocks", "t1|A|acme|4319990001|88213123", "order-9;cut", 60), Change("blocks", "t1|A|acme||", "order-10;cut", 60)])
    pumped.finish()
    other.finish()
    stops = bench.wait_for("stop", 3)
    assert {(one["b_raw"], one["order_id"], one["release_cause_text"], one["release_side"]) for one in stops} == {
        (b_raw, order, "ended by a block", "switch")
        for b_raw, order in (("8821312345", "order-9"), ("8821312399", "order-9"), ("4312345678", "order-10"))
    }
    assert all("suspected_hung" not in one for one in stops)
    time.sleep(1.5)
    assert emergency.process.poll() is None and len(bench.records("stop")) == 3, "an emergency call is never ended"
    control.apply([Change("blocks", "t1|A|acme||", "order-10;cut", 60)])  # a repeat is harmless
    assert len(bench.records("stop")) == 3
    control.close()


def test_while_the_switch_is_held_nothing_is_cut(new_bench: NewBench):
    bench = new_bench()
    bench.callee(picks_up(ring_ms=0))
    call = bench.caller(holds_on(), "8821312345")
    bench.wait_for("answer", 1, 20)
    control = bench.control()
    control.set_hold(True)
    control.apply([Change("blocks", "t1|A|acme||", "order-10;cut", 60)])
    time.sleep(1)
    assert call.process.poll() is None and bench.records("stop") == []
    control.close()


def test_a_refusal_says_603_or_603_plus_with_the_redress_of_the_tenant(new_bench: NewBench):
    bench = new_bench()
    bench.fill(SOURCES, dict([Source(ACME, "t1", "acme", "in-acme", redress=REDRESS)]))
    bench.block("t1|A|acme||", "order-1")
    bench.block("t1|A|blue||", "order-2")
    plus, plain = answer_of(bench, "4312345678"), answer_of(bench, "4312345678", BLUE)
    assert plus.startswith(b"SIP/2.0 603 Network Blocked")
    assert f'Reason: Q.850;cause=21;text="v=analytics1.0;{REDRESS}";location=LN'.encode() in plus
    assert plain.startswith(b"SIP/2.0 603 Declined") and b"Reason:" not in plain


def test_orders_and_lists_of_people_reach_the_switch_and_its_calls(new_bench: NewBench, tmp_path: Path):
    bench = new_bench(dial_plans=(DialPlan(),))
    bench.callee(picks_up(ring_ms=0))
    with house(bench, tmp_path) as (books, dispatcher):

        def do(act: Callable[[Connection, int], object]) -> None:
            with books() as conn:  # type: ignore[attr-defined]
                act(conn, round(time.time() * 1000))
            dispatcher.step()

        def deny(kind: lists.Kind, value: str, remove: bool = False, **more: object) -> None:
            do(lambda conn, now_ms: lists.change(conn, "deny", kind, value, remove, "ann", "w", now_ms, "t1", **more))  # type: ignore[arg-type]

        assert code_of(bench, "88213123456") == 200
        deny("number", "+88213")
        assert code_of(bench, "88213123456") == 603 and code_of(bench, "4312345678") == 200
        deny("destination", "lv", account="acme")
        assert code_of(bench, "37190012345") == 603 and code_of(bench, "37190012345", BLUE) == 200
        do(lambda conn, now_ms: lists.change(conn, "allow", "number", "+371900", False, "ann", "w", now_ms, "t1", "acme"))
        assert code_of(bench, "37190012345") == 200 and code_of(bench, "37120012345") == 603
        deny("number", "+88213", remove=True)
        assert code_of(bench, "88213123456") == 200
        key = Key(tenant="t1", account="blue", b_range="4312")
        do(lambda conn, now_ms: blocks.block(conn, key, 60_000, "ann", "w", now_ms, "throttle", 1))
        codes = [code_of(bench, "4312345678", BLUE) for _ in range(4)]
        assert codes.count(603) >= 2 and codes[0] == 200, "at most one call a minute, and the minute may have changed once"
        do(lambda conn, now_ms: blocks.block(conn, Key(tenant="t1", account="acme"), 60_000, "ann", "w", now_ms, "refuse_abroad"))
        assert answer_of(bench, "4412345678").startswith(b"SIP/2.0 603 Network Blocked")
        held = bench.caller(holds_on(), "4477123456", source=BLUE)
        bench.wait_for("answer", 1, 20, b_raw="4477123456")
        do(lambda conn, now_ms: blocks.block(conn, Key(tenant="t1", account="blue", b_range="4477"), 60_000, "ann", "w", now_ms, "refuse", 0, True))
        held.finish()
        assert {one["order_id"][:5] for one in bench.records("refused")} == {"list-", "order"}
