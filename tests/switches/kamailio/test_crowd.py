"""Floods: connections of strangers, emergency calls and other requests. Sources, emergency calls and control still get through."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest
from kamailio_calls import ACME, STRANGER, Bench, picks_up, talk
from raw_sip import Phone
from until import until

pytestmark = pytest.mark.kamailio
NewBench = Callable[..., Bench]


@contextmanager
def connections(bench: Bench, addresses: list[str], each: int) -> Iterator[list[socket.socket]]:
    """Silent connections to the SIP port. Above its limit the switch closes them at once."""
    with ExitStack() as stack:
        held = []
        for address in addresses:
            for _ in range(each):
                one = stack.enter_context(socket.socket())
                one.bind((address, 0))
                one.settimeout(5)
                one.connect(bench.address)
                held.append(one)
        yield held


def tcp_codes(bench: Bench, source: str, messages: list[bytes], within_s: float = 8) -> list[int]:
    """The final codes of requests over one TCP connection from a source address."""
    with socket.socket() as sock:
        sock.bind((source, 0))
        sock.connect(bench.address)
        own = "{}:{}".format(*sock.getsockname()).encode()
        for message in messages:
            sock.sendall(re.sub(rb"SIP/2.0/UDP \S+;", b"SIP/2.0/TCP " + own + b";", message))
        came, end_s = b"", time.monotonic() + within_s
        sock.settimeout(0.2)
        while time.monotonic() < end_s:
            codes = [int(code) for code in re.findall(rb"SIP/2\.0 ([2-6]\d\d)", came)]
            if len(codes) >= len(messages):
                return codes
            try:
                came += sock.recv(1 << 20)
            except TimeoutError:
                continue
        return [int(code) for code in re.findall(rb"SIP/2\.0 ([2-6]\d\d)", came)]


def test_silent_strangers_on_the_tcp_port_keep_neither_control_nor_an_emergency_call_out(new_bench: NewBench) -> None:
    bench = new_bench(max_connections=300, max_strangers=100, max_per_stranger=10)
    bench.callee(picks_up(ring_ms=0))
    bench.block("t1|A|acme||")
    with connections(bench, [f"127.0.1.{n}" for n in range(1, 41)], 12):  # more than there are places
        with Phone(STRANGER) as phone:
            emergency = phone.invite("112", to=bench.address)
        until(lambda: answers(bench), 30, "control")
        assert tcp_codes(bench, STRANGER, [emergency]) == [200]
        assert bench.post("htable.seti", "ctl", "hold", 1).status_code == 200
        until(lambda: int(value(bench, "strangers_closed")) >= 200, 30, "the crowd's end")
        with Phone(ACME) as phone:
            assert tcp_codes(bench, ACME, [phone.invite("4312345678", to=bench.address)]) == [200]


def answers(bench: Bench) -> bool:
    try:
        return bench.post("htable.get", "ctl", "hold").status_code == 200
    except httpx2.HTTPError:  # the connection was cut: there is no place yet
        return False


def value(bench: Bench, key: str) -> str:
    answer = bench.post("htable.get", "ctl", key).json()
    return str(answer["result"]["item"]["value"]) if "result" in answer else "0"


def test_sources_connections_are_not_counted_as_strangers(new_bench: NewBench) -> None:
    bench = new_bench(max_strangers=4, max_per_stranger=2)
    with connections(bench, [ACME], 20) as held, connections(bench, [STRANGER], 6) as strangers:
        until(lambda: int(value(bench, "strangers_closed")) >= 4, 30, "the strangers' end")
        time.sleep(1.2)
        assert value(bench, "strangers_closed") == "4"
        assert sum(is_open(one) for one in held) == 20 and sum(is_open(one) for one in strangers) == 2


def is_open(sock: socket.socket) -> bool:
    sock.settimeout(0.05)
    try:
        return sock.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def test_too_many_emergency_calls_from_a_stranger_are_answered_and_counted(new_bench: NewBench) -> None:
    bench = new_bench(max_emergency_per_s=20)
    bench.callee(picks_up(ring_ms=0))
    with Phone(STRANGER) as phone:
        calls = [phone.invite(number, to=bench.address) for number in ("112", "+112", "*31%23112", "112%23") * 30]
    codes = tcp_codes(bench, STRANGER, calls)
    assert len(codes) == 120 and set(codes) == {200, 503} and 20 <= codes.count(200) <= 60
    assert int(value(bench, "emergency_refused")) == codes.count(503)
    told = bench.wait_for("refused", 1)
    assert 1 <= len(told) <= 3 and "emergency calls" in told[0]["release_cause_text"]


def test_a_known_source_has_room_for_its_emergency_calls(new_bench: NewBench) -> None:
    bench = new_bench(max_emergency_per_s=5, max_invites_per_s=200)
    bench.callee(picks_up(ring_ms=0))
    bench.block("t1|A|acme||")
    with Phone(ACME) as phone:
        calls = [phone.invite("112", to=bench.address) for _ in range(100)]
    assert tcp_codes(bench, ACME, calls) == [200] * 100


def test_no_flood_of_anything_else_keeps_an_emergency_call_out(new_bench: NewBench) -> None:
    bench = new_bench(max_invites_per_s=20)  # so that 160 requests a second of other kinds are too many
    bench.callee(picks_up(ring_ms=0))
    with Phone(STRANGER) as flooder, Phone(STRANGER) as caller:
        for n in range(1200):
            flooder.send(flooder.invite("x", to=bench.address, method=("OPTIONS", "MESSAGE", "INFO")[n % 3]), bench.address)
            if n % 100 == 99:
                caller.send(caller.invite("112", to=bench.address), bench.address)
                assert caller.final() == 200
    bench.caller(talk(50), "4312345678").finish()
