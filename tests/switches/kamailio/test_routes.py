"""Calls by route plans: hunting through gateways in their order, passing over busy and dead ones, lists, and every try in the records."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest
from kamailio_calls import (
    ACME,
    BLUE,
    Bench,
    Source,
    answer,
    expect,
    invite,
    picks_up,
    provisional,
    receive,
    refused,
    rejects,
    scenario,
    talk,
)
from raw_sip import Phone, reply
from until import until

from switches.redirect import Call, Contact, Redirect, RouteAnswer
from switches.routes import Gateway, Plan, Route

pytestmark = pytest.mark.kamailio
NewBench = Callable[..., Bench]
VIEW = "best@t1"
PLAN = Plan(4, ("404", "486", "603"), ("408", "480", "5xx"))


def json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def routed(new_bench: NewBench, gateways: dict[str, Gateway], routes: dict[str, str | Route], plan: Plan = PLAN, **changes: object) -> Bench:
    """A switch whose account acme has a route plan; blue has none. `routes`: by prefix, the gateways separated by blanks."""
    bench = new_bench(
        carriers=3, sources=(Source(ACME, "t1", "acme", "in-acme", view=VIEW), Source(BLUE, "t1", "blue", "in-blue")), **changes
    )
    hops = {name: f"127.0.0.1:{port}" for name, port in zip("abc", bench.carrier_ports, strict=True)}
    bench.fill("gateways", {f"t1|{name}": json(msgspec.structs.replace(one, address=one.address or hops[name])) for name, one in gateways.items()})
    bench.fill("routes", {f"{VIEW}|{prefix}": json(Route(tuple(of.split())) if isinstance(of, str) else of) for prefix, of in routes.items()})
    bench.fill("plans", {VIEW: json(plan)})
    return bench


ALPHA, BETA, GAMMA = Gateway("alpha", "", "tg-a", "7001"), Gateway("beta", ""), Gateway("gamma", "")


def tries(bench: Bench) -> list[tuple[object, ...]]:
    fields = ("attempt_no", "carrier", "egress_trunk", "route", "route_rank", "sent_number", "sip_code")
    ends = bench.records("attempt") + [r for r in bench.records("stop") if "answer_ms" in r]
    return [tuple(r.get(field) for field in fields) for r in sorted(ends, key=lambda r: (r["setup_ms"], r["attempt_no"]))]


def test_the_cheapest_answers_503_and_the_call_completes_on_the_second(new_bench: NewBench) -> None:
    bench = routed(new_bench, {"a": ALPHA, "b": BETA}, {"43": "b a", "4366": "a b"})
    bench.callee(rejects(503, "No Circuit"), 0)
    bench.callee(picks_up(), 1)
    bench.caller(talk(), "43664123456").finish()
    bench.wait_for("stop")
    assert tries(bench) == [
        (1, "alpha", "a", f"{VIEW}|4366", 1, "700143664123456", 503),
        (2, "beta", "b", f"{VIEW}|4366", 2, "43664123456", None),
    ]
    bench.caller(talk(), "4312345678").finish()
    bench.wait_for("stop", 2)
    assert tries(bench)[-1][:5] == (1, "beta", "b", f"{VIEW}|43", 1)


def test_a_stop_code_ends_the_hunt_and_a_go_on_code_does_not(new_bench: NewBench) -> None:
    plan = Plan(4, ("5xx", "486"), ("503", "480"))
    bench = routed(new_bench, {"a": ALPHA, "b": BETA}, {"43": "a b"}, plan)
    first = bench.callee(rejects(502, "Bad Gateway"), 0)
    bench.callee(picks_up(), 1)
    bench.caller(refused(502), "4312345678").finish()
    assert [one[0] for one in tries(bench)] == [1]
    first.process.kill()
    first.process.wait()
    bench.callee(rejects(480, "Away"), 0)
    bench.caller(talk(), "4312345678").finish()
    bench.wait_for("stop", 2)
    assert [one[1] for one in tries(bench)] == ["alpha", "alpha", "beta"], "480 goes on, by this plan"


def test_no_more_gateways_are_tried_than_the_plan_says(new_bench: NewBench) -> None:
    bench = routed(new_bench, {"a": ALPHA, "b": BETA, "c": GAMMA}, {"43": "a b c"}, Plan(2, (), ("5xx",)))
    for at in range(3):
        bench.callee(rejects(503, "No Circuit"), at)
    bench.caller(refused(500), "4312345678").finish()
    assert [one[1] for one in tries(bench)] == ["alpha", "beta"]


def test_a_busy_gateway_is_passed_over_until_its_call_has_ended(new_bench: NewBench) -> None:
    bench = routed(new_bench, {"a": msgspec.structs.replace(ALPHA, capacity_calls=1), "b": BETA}, {"43": "a b"})
    bench.callee(picks_up(), 0)
    bench.callee(picks_up(), 1)
    long = bench.caller(talk(2500), "4311111111")
    bench.wait_for("answer", 1)
    bench.caller(talk(50), "4322222222").finish()
    bench.wait_for("stop", 1, b_raw="4322222222")
    assert tries(bench)[-1][1:5] == ("beta", "b", f"{VIEW}|43", 2), "rank 2, though it is the first try"
    long.finish()
    bench.wait_for("stop", 2)

    def again() -> bool:
        bench.caller(talk(50), "4333333333").finish()
        return bench.records("stop", b_raw="4333333333")[-1]["carrier"] == "alpha"

    until(again, 10, "the gateway to be free")


def test_where_all_are_passed_over_the_call_says_no_route_and_why(new_bench: NewBench) -> None:
    full = msgspec.structs.replace(ALPHA, calls_per_second=1)
    bench = routed(new_bench, {"a": full}, {"43": "a gone", "44": Route(refuse="no_route")})
    bench.callee(picks_up(), 0)
    calls = bench.caller(scenario(invite(), provisional(), expect(503, optional=True), expect(200)), "4312345678", calls=3, rate=100, timeout_s=5)
    stops = bench.wait_for("stop", 1, sip_code=503)
    assert stops[0]["release_cause_text"] == "no_route: a has had its calls of this second, gone was taken out"
    calls.process.kill()
    bench.caller(refused(404), "4412345678").finish()
    bench.caller(refused(404), "9912345678").finish()
    rows = bench.wait_for("refused", 2)
    assert {r["release_cause_text"] for r in rows} == {"no_route: no gateway can carry calls to this number"}


def test_the_deny_list_refuses_and_the_allow_list_passes(new_bench: NewBench) -> None:
    bench = routed(new_bench, {"a": ALPHA}, {"882": Route(refuse="denied"), "88213": "a"}, protected=("8829911",))
    bench.callee(picks_up(), 0)
    bench.caller(refused(603), "8821212345").finish()
    (row,) = bench.wait_for("refused")
    assert (row["sip_code"], row["release_cause_text"]) == (603, "denied by the lists of the route plan")
    bench.caller(talk(50), "8821312345").finish()
    bench.caller(talk(50), "8821212345", source=BLUE).finish()  # another account, without the plan
    bench.caller(talk(50), "112").finish()  # an emergency call goes to the carriers in their order
    bench.wait_for("stop", 3)


def test_a_gateway_that_answers_100_and_then_nothing_is_left(new_bench: NewBench) -> None:
    bench = routed(new_bench, {"a": ALPHA, "b": BETA}, {"43": "a b"}, progress_within_ms=700)
    bench.callee(picks_up(ring_ms=1500), 1)  # ringing takes longer than that, and is waited for
    with Phone("127.0.0.1", bench.carrier_ports[0]) as mute:
        call = bench.caller(talk(50), "4312345678")
        asked, proxy = mute.wait_for(b"INVITE")
        mute.send(reply(asked, 100, "Trying"), proxy)
        call.finish()
    bench.wait_for("stop")
    assert [(one[1], one[6]) for one in tries(bench)] == [("alpha", 408), ("beta", None)]


def test_probes_take_a_gateway_out_and_put_it_back(new_bench: NewBench) -> None:
    bench = routed(
        new_bench, {"a": msgspec.structs.replace(ALPHA, probe=True), "b": BETA}, {"43": "a b"}, probe_s=1, answer_within_ms=300
    )
    bench.callee(picks_up(), 1)
    until(lambda: bench.post("htable.get", "down", "t1|a").status_code == 403, 5, "the control port to keep the table to itself")
    log = bench.running.log
    until(lambda: "t1|a does not answer" in log.read_text(errors="replace"), 15, "two probes without an answer")
    bench.caller(talk(50), "4312345678").finish()
    bench.wait_for("stop", 1)
    assert [one[1] for one in tries(bench)] == ["beta"]
    there = bench.callee(scenario(receive("OPTIONS"), answer(200, "OK")), 0)
    until(lambda: "t1|a answers again" in log.read_text(errors="replace"), 15, "a probe with an answer")
    there.process.kill()
    there.process.wait()
    bench.callee(picks_up(), 0)
    bench.caller(talk(50), "4312345678").finish()
    bench.wait_for("stop", 2)
    assert tries(bench)[-1][1] == "alpha"


def test_a_new_row_changes_the_route_of_the_next_call_and_a_restart_keeps_it(new_bench: NewBench) -> None:
    bench = routed(new_bench, {"a": ALPHA, "b": BETA}, {"43": "a b"})
    bench.callee(picks_up(), 0)
    bench.callee(picks_up(), 1)
    bench.caller(talk(50), "4312345678").finish()
    bench.fill("routes", {f"{VIEW}|431": json(Route(("b", "a")))})
    bench.caller(talk(50), "4312345678").finish()
    bench.restart()
    bench.caller(talk(50), "4312345678").finish()
    bench.fill("routes", {f"{VIEW}|431": ""})
    bench.caller(talk(50), "4312345678").finish()
    bench.wait_for("stop", 4)
    assert [one[1] for one in tries(bench)] == ["alpha", "beta", "beta", "alpha"]


def test_load_and_weight_are_drawn_at_the_switch(new_bench: NewBench) -> None:
    bench = routed(new_bench, {"a": ALPHA, "b": BETA}, {"43": "a b"}, Plan(2, (), ("5xx",), "load"))
    bench.callee(picks_up(), 0)
    bench.callee(picks_up(), 1)
    long = bench.caller(talk(1500), "4311111111")
    bench.wait_for("answer", 1)
    bench.caller(talk(50), "4322222222").finish()
    long.finish()
    bench.wait_for("stop", 2)
    assert {r["b_raw"]: r["carrier"] for r in bench.records("stop")} == {"4311111111": "alpha", "4322222222": "beta"}
    bench.fill("plans", {VIEW: json(Plan(2, (), ("5xx",), "weight", {"a": 0, "b": 1}))})
    bench.caller(talk(50), "4333333333", calls=5, rate=20).finish()
    bench.wait_for("stop", 7)
    assert {r["carrier"] for r in bench.records("stop", b_raw="4333333333")} == {"beta"}


def test_a_ported_number_goes_by_its_lrn_where_the_plan_says_so(new_bench: NewBench) -> None:
    bench = routed(new_bench, {"a": ALPHA, "b": BETA}, {"43664": "a", "4369911": "b"}, msgspec.structs.replace(PLAN, by_lrn=True))
    bench.callee(picks_up(), 0)
    bench.callee(picks_up(), 1)
    bench.caller(talk(50), "43664123456").finish()
    bench.caller(talk(50), "43664123456;npdi;rn=+4369911").finish()
    bench.wait_for("stop", 2)
    assert [one[1:6] for one in tries(bench)] == [
        ("alpha", "a", f"{VIEW}|43664", 1, "700143664123456"),
        ("beta", "b", f"{VIEW}|4369911", 1, "43664123456"),
    ]
    assert bench.records("setup")[-1]["lrn"] == "4369911"




@contextmanager
def redirect(found: RouteAnswer | None) -> Iterator[tuple[str, list[Call]]]:
    """A redirect that answers so, or never; what it was asked."""
    asked: list[Call] = []

    def ask(call: Call) -> RouteAnswer:
        asked.append(call)
        assert found is not None
        return found

    loop = asyncio.new_event_loop()
    protocol = Redirect(ask) if found is not None else asyncio.DatagramProtocol()
    transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(lambda: protocol, local_addr=("127.0.0.1", 0)))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1]), asked
    finally:
        loop.call_soon_threadsafe(transport.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


PORTED = msgspec.structs.replace(PLAN, by_lrn=True)


def test_the_switch_asks_about_a_number_and_goes_by_the_answer(new_bench: NewBench) -> None:
    answer_ = RouteAnswer((Contact("b", "ignored:1", "x"), Contact("a", "ignored:1", "x")), view=VIEW, lrn="4369911")
    with redirect(answer_) as (address, asked):
        bench = routed(new_bench, {"a": ALPHA, "b": BETA}, {"43": "a"}, PORTED, ask=address, ask_within_ms=2_000)
        bench.callee(rejects(503, "No Circuit"), 1)
        bench.callee(picks_up(), 0)
        bench.caller(talk(50), "43664123456").finish()
        bench.wait_for("stop")
    assert [one[1:6] for one in tries(bench)] == [
        ("beta", "b", f"{VIEW}|4369911", 1, "43664123456"),
        ("alpha", "a", f"{VIEW}|4369911", 2, "700143664123456"),
    ]
    assert [(call.account, call.b_number) for call in asked] == [("t1/acme", "43664123456")]
    assert {r.get("lrn") for r in bench.records("stop")} == {"4369911"}


def test_a_redirect_that_hangs_costs_a_tenth_of_a_second_and_the_table_counts(new_bench: NewBench) -> None:
    with redirect(None) as (address, _):
        bench = routed(new_bench, {"a": ALPHA, "b": BETA}, {"43": "a b"}, PORTED, ask=address)
        bench.callee(rejects(503, "No Circuit"), 0)
        bench.callee(picks_up(ring_ms=0), 1)
        bench.caller(talk(50), "43664123456").finish()
        (stop,) = bench.wait_for("stop")
    assert [one[1] for one in tries(bench)] == ["alpha", "beta"]
    assert stop["answer_ms"] - stop["setup_ms"] < 10_000


def test_a_refusal_of_the_redirect_ends_the_call_with_its_cause(new_bench: NewBench) -> None:
    with redirect(RouteAnswer((), "denied", "premium", VIEW)) as (address, _):
        bench = routed(new_bench, {"a": ALPHA}, {"43": "a"}, PORTED, ask=address, ask_within_ms=2_000)
        bench.caller(refused(603), "43664123456").finish()
        (stop,) = bench.wait_for("stop")
    assert (stop["sip_code"], stop["release_cause_text"]) == (603, "denied by the lists of the route plan")
    assert bench.records("attempt") == []
