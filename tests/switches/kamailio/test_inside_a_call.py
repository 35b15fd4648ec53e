"""Requests inside a call: their allowed senders, their targets, and what they cannot do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from kamailio_calls import ACME, STRANGER, Bench
from raw_sip import Phone, Side, caller_side, establish, header, reply

pytestmark = pytest.mark.kamailio
NewBench = Callable[..., Bench]


def silent(phone: Phone, within_s: float = 0.5) -> bool:
    """Whether no request comes (the ACK of the INVITE does not count)."""
    end_s = time.monotonic() + within_s
    while (left_s := end_s - time.monotonic()) > 0:
        try:
            message, _ = phone.receive(left_s)
        except TimeoutError:
            return True
        if not message.startswith((b"ACK", b"SIP/2.0")):
            return False
    return True


def test_neither_end_can_hang_up_as_the_other(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as caller, Phone(STRANGER) as stranger:
        call = establish(caller, callee, bench.address, "4312345678")
        for sender, end in ((caller, call.callee), (stranger, call.callee), (stranger, call.caller), (callee, call.caller)):
            for method in ("BYE", "UPDATE", "INVITE", "INFO"):
                sender.send(replace(end, phone=sender).request(method, 70), bench.address)
                assert sender.final() == 481, (sender.address, method)
        assert bench.records("stop") == [] and silent(callee)
        call.hang_up(call.caller)
        assert len(bench.wait_for("stop")) == 1


def test_a_call_that_rings_lets_no_second_call_in(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as caller, Phone(STRANGER) as stranger:
        caller.send(caller.invite("4312345678", to=bench.address, call_id="early", tag="a"), bench.address)
        invite, proxy = callee.wait_for(b"INVITE")
        callee.send(reply(invite, 180, "Ringing", tag="one"), proxy)
        caller.wait_for(b"SIP/2.0 180")
        for sender in (caller, stranger):
            for tag, method in (("zzz", "INVITE"), ("one", "INVITE"), ("zzz", "UPDATE"), ("zzz", "BYE")):
                uri = f"sip:4366099999@127.0.0.1:{bench.carrier_ports[0]}".encode()
                message = sender.invite("", to=bench.address, call_id="early", tag="a", to_tag=tag, method=method, uri=uri)
                sender.send(message.replace(b"CSeq: 1", b"CSeq: 2"), bench.address)
                assert sender.final() == 481, (tag, method)
        assert silent(callee)
        callee.send(reply(invite, 486, "Busy Here", tag="one"), proxy)
        caller.wait_for(b"SIP/2.0 486")
    assert [r["event"] for r in bench.records(call_id="early")] == ["setup", "ringing", "attempt", "stop"]


def test_prack_before_the_answer_goes_over_the_carriers_edge(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as carrier, Phone("127.0.0.1") as edge, Phone(ACME) as caller:
        caller.send(caller.invite("4312345678", to=bench.address), bench.address)
        invite, proxy = carrier.wait_for(b"INVITE")
        routed = f"Record-Route: <sip:127.0.0.1:{edge.port};lr>\r\nContact: <sip:inner@127.0.0.1:9>\r\n".encode()
        ringing = reply(invite, 183, "Session Progress", tag="t", headers=routed)
        first = re.search(rb"Record-Route: [^\r]*;rf=[^\r]*\r\n", ringing)
        assert first is not None
        edge_line = routed.split(b"\r\n")[0] + b"\r\n"
        ringing = ringing.replace(edge_line, b"").replace(first[0], edge_line + first[0])
        carrier.send(ringing, proxy)
        heard, _ = caller.wait_for(b"SIP/2.0 183")
        side = caller_side(caller, heard)
        caller.send(side.request("PRACK", 2), bench.address)
        prack, _ = edge.wait_for(b"PRACK")
        assert prack.startswith(b"PRACK sip:inner@127.0.0.1:9 ") and header(prack, "Route")


def test_the_route_that_a_caller_brings_is_taken_off(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as caller:
        own = "<sip:{}:{};lr>".format(*bench.address)
        headers = f"Route: {own}\r\nRoute: <sip:88213999999@10.1.1.1;lr>\r\n".encode()
        caller.send(caller.invite("4312345678", to=bench.address, headers=headers), bench.address)
        invite, proxy = callee.wait_for(b"INVITE")
        assert header(invite, "Route") == [] and invite.startswith(b"INVITE sip:4312345678@")
        callee.send(reply(invite, 486, "Busy Here"), proxy)
        assert caller.final() == 486


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bye: re.sub(rb"(To: [^\r]*);tag=", rb"\1;tag=zzz;tag=", bye),
        lambda bye: re.sub(rb"(From: [^\r]*);tag=", rb"\1;tag=zzz;tag=", bye),
        lambda bye: bye.replace(b"Content-Length: 0", b"Content-Length: 500"),
    ],
    ids=["two To tags", "two From tags", "a body that is not there"],
)
def test_a_bye_that_the_other_end_could_read_otherwise_is_not_sent_on(new_bench: NewBench, spoil: Callable[[bytes], bytes]) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as caller:
        call = establish(caller, callee, bench.address, "4312345678")
        caller.send(spoil(call.caller.request("BYE", 9)), bench.address)
        assert caller.final() in (400, 481) and silent(callee)
        assert bench.records("stop") == []
        call.hang_up(call.callee)


@pytest.mark.parametrize("code", [481, 0])
def test_an_end_that_has_no_call_or_says_nothing_is_hung_up_on_by_the_switch(new_bench: NewBench, code: int) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as caller:
        call = establish(caller, callee, bench.address, "4312345678")
        caller.send(call.caller.request("BYE", 9), bench.address)
        bye, proxy = callee.wait_for(b"BYE")
        if code:
            callee.send(reply(bye, code, "No Such Call"), proxy)
        (stop,) = bench.wait_for("stop")
        branch = header(bye, "Via")[0]
        while True:  # the same BYE is resent; then comes one of the switch's own
            again, proxy = callee.wait_for(b"BYE")
            if header(again, "Via")[0] != branch:
                break
        callee.send(reply(again, 200, "OK"), proxy)
    assert len(bench.records("stop")) == 1 and "suspected_hung" not in stop


def test_the_mark_of_a_call_of_the_boot_before_opens_nothing(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as caller, Phone(STRANGER) as stranger, Phone(ACME) as own:
        call = establish(caller, callee, bench.address, "4312345678")
        bench.restart()
        elsewhere = replace(call.caller, target=b"sip:4366099999@127.0.0.1:%d" % own.port)
        for sender, side, method in (
            (caller, call.caller, "INVITE"), (stranger, call.caller, "INVITE"), (caller, elsewhere, "UPDATE"), (stranger, call.caller, "BYE"),
            (caller, elsewhere, "BYE"),
        ):  # fmt: skip
            if side is elsewhere:
                side = replace(side, target=b"sip:x@127.0.0.9:%d" % own.port)
            sender.send(replace(side, phone=sender).request(method, 20), bench.address)
            assert sender.final() == 481, (sender.address, method)
        assert bench.records("stop") == [] and bench.records("interim") == []
        call.hang_up(call.caller)
        (stop,) = bench.wait_for("stop")
        assert stop["account"] == "acme"


def test_a_200_of_a_carrier_that_was_left_is_no_answer_and_leaves_nothing_up(new_bench: NewBench) -> None:
    bench = new_bench(carriers=2, answer_within_ms=400, interim_s=1)
    with Phone("127.0.0.1", bench.carrier_ports[0]) as mute, Phone("127.0.0.1", bench.carrier_ports[1]) as other, Phone(ACME) as caller:
        caller.send(caller.invite("4312345678", to=bench.address), bench.address)
        first, proxy = mute.wait_for(b"INVITE")
        second, _ = other.wait_for(b"INVITE")
        other.send(reply(second, 180, "Ringing", tag="two"), proxy)
        caller.wait_for(b"SIP/2.0 180")
        contact = f"Contact: <sip:one@127.0.0.1:{mute.port}>\r\n".encode()
        mute.send(reply(first, 200, "OK", tag="one", headers=contact), proxy)
        time.sleep(0.3)
        other.send(reply(second, 486, "Busy Here", tag="two"), proxy)
        bench.wait_for("stop")
        time.sleep(2.2)
    assert bench.records("interim") == [] and len(bench.records("stop")) == 1


def test_a_call_over_the_second_carrier_is_acknowledged_there_whatever_the_first_says_late(new_bench: NewBench) -> None:
    bench = new_bench(carriers=2, answer_within_ms=400)
    with Phone("127.0.0.1", bench.carrier_ports[0]) as mute, Phone("127.0.0.1", bench.carrier_ports[1]) as other, Phone(ACME) as caller:
        caller.send(caller.invite("4312345678", to=bench.address), bench.address)
        _, proxy = mute.wait_for(b"INVITE")
        second, _ = other.wait_for(b"INVITE")
        contact = f"Contact: <sip:two@127.0.0.1:{other.port}>\r\n".encode()
        other.send(reply(second, 200, "OK", tag="two", headers=contact), proxy)
        answered, _ = caller.wait_for(b"SIP/2.0 200")
        side: Side = caller_side(caller, answered)
        caller.send(side.request("ACK", 1), bench.address)
        other.wait_for(b"ACK")
        caller.send(side.request("BYE", 2), bench.address)
        bye, proxy = other.wait_for(b"BYE")
        other.send(reply(bye, 200, "OK"), proxy)
        (stop,) = bench.wait_for("stop")
    assert stop["carrier"] == "carrier-2"


@pytest.mark.parametrize("uri", [b"urn:service:sos@88213999999", b"urn:service:sosumi.88213999999", b"urn:service:sos.police;x=88213"])
def test_what_only_begins_like_an_emergency_service_is_none(new_bench: NewBench, uri: bytes) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(STRANGER) as stranger:
        stranger.send(stranger.invite("", to=bench.address, uri=uri), bench.address)
        assert stranger.final() in (400, 403) and silent(callee)


def test_an_emergency_call_and_a_protected_one_may_change_under_a_block(new_bench: NewBench) -> None:
    bench = new_bench(protected=("4314040",))
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as caller:
        bench.block("t1|A|acme||")
        for n, number in enumerate(("112", "*31%23112", "4314040", "4314040%2C5")):
            call = establish(caller, callee, bench.address, number, callee_tag=f"t{n}")
            caller.send(call.caller.request("INVITE", 5), bench.address)
            arrived, proxy = callee.wait_for(b"INVITE")
            callee.send(reply(arrived, 200, "OK"), proxy)
            assert caller.final() == 200
            call.hang_up(call.caller)
    assert bench.records("refused") == []
