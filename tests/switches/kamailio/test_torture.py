"""Malicious messages: the switch goes on, and each message has a valid record."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest
from kamailio_calls import ACME, Bench, Source, is_about, picks_up, talk
from raw_sip import Phone, establish

from core.record import MAX_BYTES, Record

pytestmark = pytest.mark.kamailio
NewBench = Callable[..., Bench]


def valid(bench: Bench) -> list[Record]:
    """The lines of the spool, decoded as judge decodes them."""
    lines = bench.lines()
    assert all(len(line) <= MAX_BYTES for line in lines)
    return [msgspec.json.decode(line, type=Record) for line in lines]


def of_calls(bench: Bench) -> list[str]:
    """The events of calls, in the order of the file; another worker writes the boot record, before or after the first of them."""
    return [record.event for record in valid(bench) if record.event != "boot"]


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("a header of 55 kB", {"headers": b"X-Long: " + b"x" * 55_000 + b"\r\n"}),
        ("a From of 55 kB", {"from_value": b'"' + b"n" * 55_000 + b'" <sip:4319990001@x>'}),
        ("a Diversion of 30 kB of quotes", {"headers": b"Diversion: <sip:" + b"%22" * 5000 + b"\\\"" * 7000 + b">\r\n"}),
        ("quotes and backslashes in the name", {"from_value": b'"a \\"b\\" \\\\ ,c" <sip:4319990001@x>'}),
        ("a folded header", {"headers": b"User-Agent: first\r\n second\r\n"}),
        ("a NUL in a header", {"headers": b"User-Agent: a\x00b\r\n"}),
        ("bytes that are no UTF-8", {"from_value": b'"\xff\xfe\xc3 \xe9t\xe9 \xf0\x9f\x93\x9e" <sip:4319990001@x>'}),
        ("From without a user", {"from_value": b"<sip:acme.example>"}),
        ("From with a tel URI", {"from_value": b"<tel:+4319990001>"}),
        ("controls in User-Agent", {"headers": b"User-Agent: \x01\x02\x1b[31m\x7f\r\n"}),
        ("a Call-ID of 20 kB", {"call_id": "c" * 20_000}),
        ("a tag of 20 kB", {"tag": "t" * 20_000}),
        ("a tag that looks like our mark", {"tag": "x~y~z"}),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)  # fmt: skip
def test_a_strange_message_is_a_call_like_any_other(new_bench: NewBench, what: str, changes: dict[str, object]) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as caller:
        call = establish(caller, callee, bench.address, "4312345678", **changes)
        call.hang_up(call.caller)
    events = of_calls(bench)
    assert events == ["setup", "ringing", "answer", "stop"], what
    setup, stop = bench.records("setup")[0], bench.records("stop")[0]
    for name in ("dialog_id", "call_id", "from_tag", "account"):
        assert setup[name] == stop[name]
    assert stop["end_ms"] >= stop["answer_ms"]


@pytest.mark.parametrize("name", [b'"a\x00b"', b'"first\r\n second"'])
def test_a_name_that_kamailio_cannot_read_is_refused_with_a_record(new_bench: NewBench, name: bytes) -> None:
    bench = new_bench()
    with Phone(ACME) as caller:
        from_value = name + b" <sip:4319990001@x>"
        caller.send(caller.invite("4312345678", to=bench.address, from_value=from_value), bench.address)
        assert caller.final() == 400
        (refused,) = [record for record in valid(bench) if record.event != "boot"]
    assert (refused.event, refused.sip_code, refused.account) == ("refused", 400, "acme")
    assert refused.from_raw.startswith(name.decode()) and refused.release_cause_text


@pytest.mark.parametrize(
    "number", [b"43abc%41%00", b"%", b"%%%", b"43%2", b"alice", b"*21*43123%23", b"4" * 3000, b"\xc3\xa9\xff", b"12'34"]
)
def test_a_number_of_letters_and_percent_signs_is_no_reason_to_stop(new_bench: NewBench, number: bytes) -> None:
    bench = new_bench(sources=(Source(ACME, "t1", "acme", "in-acme", accept_unreadable=True),))
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as caller:
        call = establish(caller, callee, bench.address, number)
        call.hang_up(call.callee)
    assert of_calls(bench) == ["setup", "ringing", "answer", "stop"]


@pytest.mark.parametrize("number", [b"43abc%41%00", b"alice", b"*21*43123%23", b"4" * 30, b"\xc3\xa9\xff", b"12'34", b"1234%23x"])
def test_what_means_no_number_is_refused_and_recorded_where_the_trunk_does_not_take_it(new_bench: NewBench, number: bytes) -> None:
    bench = new_bench()
    with Phone(ACME) as caller:
        caller.send(caller.invite(number, to=bench.address), bench.address)
        assert caller.final() == 484
    (refused,) = bench.wait_for("refused")
    assert (refused["sip_code"], refused["account"]) == (484, "acme") and refused["b_raw"]


@pytest.mark.parametrize("same_tag", [False, True])
def test_a_call_id_reused_in_two_calls_at_once_is_two_calls(new_bench: NewBench, same_tag: bool) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone(ACME) as one, Phone("127.0.0.3") as two:
        tags = ("one", "one") if same_tag else ("one", "two")
        first = establish(one, callee, bench.address, "4312345678", call_id="again", callee_tag="callee-1", tag=tags[0])
        second = establish(two, callee, bench.address, "4387654321", call_id="again", callee_tag="callee-2", tag=tags[1])
        time.sleep(0.3)
        second.hang_up(second.caller)
        time.sleep(0.3)
        first.hang_up(first.callee)
    stops = {record.account: record for record in valid(bench) if record.event == "stop"}
    assert {account: stop.b_raw for account, stop in stops.items()} == {"acme": "4312345678", "blue": "4387654321"}
    assert stops["acme"].dialog_id != stops["blue"].dialog_id
    for account, talked_ms in (("acme", 600), ("blue", 300)):
        stop = stops[account]
        assert stop.answer_ms and stop.end_ms and is_about(stop.end_ms - stop.answer_ms, talked_ms)


def test_a_flood_from_one_address_is_cut_and_another_goes_on(new_bench: NewBench) -> None:
    bench = new_bench(max_invites_per_s=100, workers=4)
    bench.callee(picks_up())
    honest = bench.caller(talk(100), "4312345678", source="127.0.0.3", calls=30, rate=15)
    with Phone("127.0.0.9") as flooder:
        started = time.monotonic()
        for n in range(2000):
            flooder.send(flooder.invite(f"8821{n:08}", to=bench.address), bench.address)
            while time.monotonic() - started < n / 1000:
                time.sleep(0.0005)
    honest.finish()
    assert len(bench.records("answer", account="blue")) == 30
    cut = bench.records("refused", sip_code=503)
    assert 2 <= len(cut) <= 4 and "100 INVITEs" in cut[0]["release_cause_text"]
    assert 200 <= len(bench.records("refused", sip_code=403)) <= 400
    assert [r["seq"] for r in bench.records()] == list(range(1, len(bench.records()) + 1))


def test_noise_on_the_port_is_no_call(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone(ACME) as phone:
        for noise in (
            b"\x00" * 100, b"GET / HTTP/1.0\r\n\r\n", b"INVITE\r\n\r\n", b"INVITE sip:1@x SIP/2.0\r\n\r\n", b"\r\n\r\n",
            b"INVITE sip:1@x SIP/2.0\r\nVia: x\r\nFrom: <\r\nTo: >\r\nCall-ID:\r\nCSeq: a b\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n",
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\nCall-ID: x\r\n"
            b"From: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\nRecord-Route: <sip:a;rf=1~2~3~4~5~6~7>\r\n\r\n",
        ):  # fmt: skip
            phone.send(noise, bench.address)
        phone.send(phone.invite("1", to=bench.address, method="REGISTER"), bench.address)
        assert phone.final() == 405
        phone.send(phone.invite("1", to=bench.address, method="MESSAGE"), bench.address)
        assert phone.final() == 405
        phone.send(phone.invite("1", to=bench.address, method="BYE", to_tag="nobody"), bench.address)
        assert phone.final() == 481
    assert [record.event for record in valid(bench) if record.event not in ("boot", "refused")] == []
    assert {record.sip_code for record in valid(bench) if record.event == "refused"} <= {400}
