"""The records of calls: durations, carriers and events from ringing to release."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable

import msgspec
import pytest
from kamailio_calls import (
    Bench,
    Source,
    ack,
    ack_refusal,
    answer,
    cancel,
    expect,
    in_call,
    invite,
    is_about,
    ok_in_call,
    pause,
    picks_up,
    provisional,
    receive,
    refused,
    rejects,
    scenario,
    sdp_of,
    talk,
)
from ports import free_port
from raw_sip import Phone, caller_side, establish, reply

from core.record import Record
from switches.desired import Carrier

pytestmark = pytest.mark.kamailio

NewBench = Callable[..., Bench]


def test_five_seconds_of_ringing_and_two_of_talk_are_two_seconds(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up(ring_ms=5000))
    bench.caller(talk(2000), "4312345678").finish()

    (stop,) = bench.wait_for("stop")
    (answer,) = bench.records("answer")
    (ringing,) = bench.records("ringing")
    assert is_about(stop["end_ms"] - stop["answer_ms"], 2000)
    assert stop["answer_ms"] == answer["answer_ms"]
    assert is_about(answer["answer_ms"] - ringing["ringing_ms"], 5000)
    assert [r["event"] for r in bench.records()] == ["boot", "setup", "ringing", "answer", "stop"]
    assert [r["seq"] for r in bench.records()] == [1, 2, 3, 4, 5]
    assert {(r["account"], r["ingress_trunk"], r["tenant"]) for r in bench.records()[1:]} == {("acme", "in-acme", "t1")}
    assert (stop["carrier"], stop["trunk_group"], stop["egress_trunk"]) == ("carrier-1", "tg-1", "out-1")
    assert stop["sent_number"] == "4312345678" and stop["release_side"] == "caller"
    assert 0 <= stop["pdd_ms"] < 200


def test_early_media_without_an_answer_is_no_talk(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(
        scenario(receive("INVITE"), answer(183, "Session Progress", media=True), pause(800), answer(480, "Gone"), receive("ACK"))
    )
    bench.caller(refused(480), "4312345678").finish()
    (stop,) = bench.wait_for("stop")
    assert [r["event"] for r in bench.records()] == ["boot", "setup", "early_media", "attempt", "stop"]
    assert "answer_ms" not in stop and stop["sip_code"] == 480 and stop["release_side"] == "callee"
    assert stop["end_ms"] - stop["ringing_ms"] >= 800


def test_carrier_a_says_503_and_the_call_completes_on_b(new_bench: NewBench) -> None:
    bench = new_bench(carriers=2)
    bench.callee(rejects(503, "No Circuit", extra="Reason: Q.850;cause=34;text=none\n"), carrier=0)
    bench.callee(picks_up(), carrier=1)
    bench.caller(talk(), "4312345678").finish()
    (stop,) = bench.wait_for("stop")
    (attempt,) = bench.records("attempt")
    assert (attempt["attempt_no"], attempt["carrier"], attempt["trunk_group"]) == (1, "carrier-1", "tg-1")
    assert (attempt["sip_code"], attempt["q850"]) == (503, 34) and 0 <= attempt["pdd_ms"] < 200
    assert (stop["attempt_no"], stop["carrier"], stop["egress_trunk"]) == (2, "carrier-2", "out-2")
    assert [r["event"] for r in bench.records()] == ["boot", "setup", "attempt", "ringing", "answer", "stop"]


def test_a_mute_carrier_is_left_and_when_all_fail_the_call_stops_without_an_answer(new_bench: NewBench) -> None:
    bench = new_bench(carriers=2, answer_within_ms=500)
    bench.callee(rejects(503, "No Circuit"), carrier=1)
    bench.caller(refused(500), "4312345678").finish()
    (stop,) = bench.wait_for("stop")
    mute, full = bench.records("attempt")
    assert (mute["carrier"], mute["sip_code"]) == ("carrier-1", 408) and 400 <= mute["end_ms"] - stop["setup_ms"] <= 1200
    assert (full["carrier"], full["sip_code"]) == ("carrier-2", 503)
    assert stop["sip_code"] == 503 and "answer_ms" not in stop and stop["release_side"] == "switch"


def test_a_carrier_that_cannot_be_sent_to_is_an_attempt(new_bench: NewBench) -> None:
    port = free_port()
    carriers = (Carrier("carrier-x", "no-such-host.invalid:5060"), Carrier("carrier-1", f"127.0.0.1:{port}"))
    bench = new_bench(carriers=carriers, ports=[port])
    bench.callee(picks_up())
    bench.caller(talk(), "4312345678").finish()
    (attempt,) = bench.wait_for("attempt")
    assert (attempt["sip_code"], attempt["attempt_no"]) == (503, 1)
    assert bench.wait_for("stop")[0]["attempt_no"] == 2


def test_a_busy_callee_is_not_tried_elsewhere(new_bench: NewBench) -> None:
    bench = new_bench(carriers=2)
    bench.callee(rejects(486, "Busy Here", extra="Reason: Q.850;cause=17\n"), carrier=0)
    bench.caller(refused(486), "4312345678").finish()
    (stop,) = bench.wait_for("stop")
    assert (stop["sip_code"], stop["q850"], len(bench.records("attempt"))) == (486, 17, 1)


def test_ringing_that_nobody_answers_ends_and_is_not_tried_elsewhere(new_bench: NewBench) -> None:
    bench = new_bench(carriers=2, ring_within_s=1)
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee:
        caller = bench.caller(refused(408), "4312345678")
        invite_, proxy = callee.wait_for(b"INVITE")
        callee.send(reply(invite_, 180, "Ringing"), proxy)
        cancelled, proxy = callee.wait_for(b"CANCEL")
        callee.send(reply(cancelled, 200, "OK"), proxy)
        caller.finish()
    (stop,) = bench.wait_for("stop")
    assert stop["sip_code"] == 408 and 900 <= stop["end_ms"] - stop["ringing_ms"] <= 2500
    assert [r["carrier"] for r in bench.records("attempt")] == ["carrier-1"]


def test_the_claims_about_the_caller_are_kept_as_they_came(new_bench: NewBench) -> None:
    bench = new_bench()
    passport = b".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=")
        for part in (b'{"alg":"ES256"}', b'{"attest":"B","orig":{"tn":"431"}}', b"signature")
    )
    headers = (
        b'P-Asserted-Identity: "A" <sip:+4319990007@acme.example>\r\nDiversion: <sip:4315550000@x>;reason=unconditional\r\n'
        b"User-Agent: PBX 1.0\r\nIdentity: " + passport + b";info=<https://x>;alg=ES256\r\n"
    )
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        establish(caller, callee, bench.address, "4312345678;npdi;rn=+4369911", headers=headers)
    (setup,) = bench.records("setup")
    assert setup["a_raw"] == "+4319990007" and "acme.example" in setup["pai"] and "4319990001" in setup["from_raw"]
    assert setup["diversion"].startswith("<sip:4315550000@x>") and setup["user_agent"] == "PBX 1.0"
    assert setup["attestation"] == "B" and setup["lrn"] == "4369911" and setup["src_ip"] == "127.0.0.2"


def test_a_reinvite_changes_nothing_in_the_money(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(
        scenario(
            receive("INVITE"), answer(180, "Ringing"), pause(100), answer(200, "OK", media=True, retrans=True), receive("ACK"),
            receive("INVITE"), ok_in_call(), receive("ACK"), receive("BYE"), ok_in_call(),
        )
    )  # fmt: skip
    bench.caller(
        scenario(
            invite(), provisional(), expect(200, rrs=True), ack(), pause(400),
            in_call("INVITE", 2, body=sdp_of("sendonly")), expect(100, optional=True), expect(200), ack(2), pause(400),
            in_call("BYE", 3), expect(200),
        ),
        "4312345678",
    ).finish()  # fmt: skip
    (stop,) = bench.wait_for("stop")
    assert [r["event"] for r in bench.records()] == ["boot", "setup", "ringing", "answer", "interim", "stop"]
    assert is_about(bench.records("interim")[0]["duration_ms"], 400)
    assert is_about(stop["end_ms"] - stop["answer_ms"], 800)


def test_a_cancelled_call_is_an_attempt_and_a_stop_by_the_caller(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(
        scenario(
            receive("INVITE"), answer(180, "Ringing"), receive("CANCEL"), ok_in_call(),
            answer(487, "Terminated").replace("[last_CSeq:]", "CSeq: 1 INVITE"), receive("ACK"),
        )
    )  # fmt: skip
    bench.caller(
        scenario(
            invite(), expect(100, optional=True), expect(180), pause(300), cancel(), expect(200), expect(487), ack_refusal()
        ),
        "4312345678",
    ).finish()
    (stop,) = bench.wait_for("stop")
    (attempt,) = bench.records("attempt")
    assert attempt["sip_code"] == stop["sip_code"] == 487
    assert "answer_ms" not in stop and stop["release_side"] == "caller"


def test_a_cancel_that_crosses_the_answer_is_a_call_of_its_real_length(new_bench: NewBench) -> None:
    bench = new_bench()
    switch = bench.address
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        request = caller.invite("4312345678", to=switch, call_id="crossing", tag="a", branch="one")
        caller.send(request, switch)
        arrived, proxy = callee.wait_for(b"INVITE")
        callee.send(reply(arrived, 180, "Ringing"), proxy)
        caller.wait_for(b"SIP/2.0 180")
        caller.send(request.replace(b"INVITE", b"CANCEL"), switch)
        callee.wait_for(b"CANCEL")
        contact = f"Contact: <sip:callee@127.0.0.1:{callee.port}>\r\n".encode()
        callee.send(reply(arrived, 200, "OK", headers=contact), proxy)
        answered, _ = caller.wait_for(b"SIP/2.0 200 OK\r\n")
        while b"1 INVITE" not in answered:
            answered, _ = caller.wait_for(b"SIP/2.0 200")
        side = caller_side(caller, answered)
        caller.send(side.request("ACK", 1), switch)
        time.sleep(0.5)
        caller.send(side.request("BYE", 2), switch)
        callee.wait_for(b"BYE")
    (stop,) = bench.wait_for("stop")
    assert [r["event"] for r in bench.records()] == ["boot", "setup", "ringing", "answer", "stop"]
    assert is_about(stop["end_ms"] - stop["answer_ms"], 500)


def test_a_bye_of_the_callee_that_is_resent_is_one_stop(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        call = establish(caller, callee, bench.address, "4312345678")
        call.hang_up(call.callee, times=3)
        time.sleep(0.2)
    (stop,) = bench.records("stop")
    assert stop["release_side"] == "callee" and stop["account"] == "acme"
    assert stop["from_tag"] == bench.records("setup")[0]["from_tag"]


def test_a_bye_without_the_route_set_finds_its_call(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        call = establish(caller, callee, bench.address, "4312345678")
        call.hang_up(call.caller, routes=False)
    (stop,) = bench.records("stop")
    assert stop["account"] == "acme" and stop["answer_ms"] and stop["release_side"] == "caller"


def test_a_lost_bye_ends_at_the_trunks_limit_as_suspected_hung(new_bench: NewBench) -> None:
    bench = new_bench(sources=(Source("127.0.0.2", "t1", "acme", "in-acme", max_call_s=2),), interim_s=1)
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        establish(caller, callee, bench.address, "4312345678")
        (stop,) = bench.wait_for("stop", within_s=8)
        callee.wait_for(b"BYE")  # both sides are told
        caller.wait_for(b"BYE")
    assert stop["suspected_hung"] is True and stop["release_side"] == "switch" and stop["account"] == "acme"
    assert 1900 < stop["end_ms"] - stop["answer_ms"] < 4500
    interim = bench.records("interim")
    assert interim and interim[0]["answer_ms"] == stop["answer_ms"]
    assert [r["duration_ms"] for r in interim] == sorted(r["duration_ms"] for r in interim)
    time.sleep(1.2)
    assert len(bench.records("interim")) <= len(interim) + 1 and len(bench.records("stop")) == 1


def test_calls_that_expire_together_have_one_stop_each_however_quick_the_answers_are(new_bench: NewBench) -> None:
    bench = new_bench(sources=(Source("127.0.0.2", "t1", "acme", "in-acme", max_call_s=2),), workers=4)
    bench.callee(picks_up(ring_ms=10))
    provisional_ = "".join(expect(code, optional=True) for code in (100, 180, 183))
    hung = scenario(invite(), provisional_, expect(200, rrs=True), ack(), receive("BYE", timeout_ms=20_000), ok_in_call())
    bench.caller(hung, "4312345678", calls=200, rate=400).finish()
    stops = bench.wait_for("stop", 200)
    assert len({r["dialog_id"] for r in stops}) == len(stops) == 200
    assert all(r["suspected_hung"] and r["release_side"] == "switch" for r in stops)


def test_a_call_that_the_operator_ends_is_not_called_hung(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        call = establish(caller, callee, bench.address, "4312345678", call_id="to-be-ended", callee_tag="our-tag")
        from_tag = bench.records("setup")[0]["from_tag"]
        assert bench.post("dlg.terminate_dlg", "to-be-ended", from_tag, "our-tag").status_code == 200
        for side in (call.caller, call.callee):
            bye, proxy = side.phone.wait_for(b"BYE")
            side.phone.send(reply(bye, 200, "OK"), proxy)
        (stop,) = bench.wait_for("stop")
    assert "suspected_hung" not in stop and stop["release_cause_text"] == "ended by the operator"


def test_a_bye_after_kill_9_finds_its_call_and_its_account(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        calls = [establish(caller, callee, bench.address, f"43123456{n:02}") for n in range(4)]
        setups = bench.records("setup")
        bench.restart()
        calls[0].hang_up(calls[0].caller)
        calls[1].hang_up(calls[1].callee)
        forged = calls[2].caller.request("BYE", 9).replace(b"~acme~", b"~blue~")
        caller.send(forged, bench.address)
        stranger = calls[3].caller.request("BYE", 9).replace(b"Call-ID: " + calls[3].caller.call_id, b"Call-ID: another-call")
        caller.send(stranger, bench.address)
        stops = bench.wait_for("stop", 4)
    for stop, setup, side in zip(stops, setups, ("caller", "callee"), strict=False):
        assert stop["setup_boot_id"] == setup["boot_id"] != stop["boot_id"]
        for name in ("dialog_id", "call_id", "from_tag", "account", "ingress_trunk", "tenant", "setup_ms"):
            assert stop[name] == setup[name], name
        assert stop["release_side"] == side
    for stop in stops[2:]:  # a mark that does not hold is no mark: the stop is kept, but is nobody's
        assert "account" not in stop and "dialog_id" not in stop


def test_an_answer_after_kill_9_is_recorded_with_the_calls_own_boot(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        caller.send(caller.invite("4312345678", to=bench.address), bench.address)
        invite_, proxy = callee.wait_for(b"INVITE")
        callee.send(reply(invite_, 180, "Ringing"), proxy)
        caller.wait_for(b"SIP/2.0 180")
        bench.restart()
        contact = f"Contact: <sip:callee@127.0.0.1:{callee.port}>\r\n".encode()
        for _ in range(3):
            callee.send(reply(invite_, 200, "OK", headers=contact), proxy)
        answered, _ = caller.wait_for(b"SIP/2.0 200")
        side = caller_side(caller, answered)
        caller.send(side.request("ACK", 1), bench.address)
        callee.wait_for(b"ACK")
        caller.send(side.request("BYE", 2), bench.address)
        callee.wait_for(b"BYE")
        (stop,) = bench.wait_for("stop")
    (late,) = bench.records("answer")
    (setup,) = bench.records("setup")
    for record in (late, stop):
        assert (record["setup_boot_id"], record["dialog_id"], record["account"]) == (setup["boot_id"], setup["dialog_id"], "acme")


def test_under_load_every_call_has_its_records_and_no_number_is_missing(new_bench: NewBench) -> None:
    bench = new_bench(workers=4)
    bench.callee(picks_up(ring_ms=200))
    one = bench.caller(talk(1000), "4312345678", calls=200, rate=100)
    two = bench.caller(talk(500), "4312345679", source="127.0.0.3", calls=200, rate=100)
    one.finish()
    two.finish()
    stops = bench.wait_for("stop", 400)
    overtaken = 400 - len(bench.records("ringing"))  # a 180 that the 200 overtakes in another worker has no record
    assert [r["seq"] for r in bench.records()] == list(range(1, 4 * 400 + 2 - overtaken))
    assert len({r["dialog_id"] for r in stops}) == 400
    for account, talk_ms in (("acme", 1000), ("blue", 500)):
        lengths = sorted(r["end_ms"] - r["answer_ms"] for r in stops if r["account"] == account)
        assert len(lengths) == 200 and is_about(lengths[100], talk_ms)
    assert all(msgspec.json.decode(line, type=Record) for line in bench.lines())


def test_a_crash_under_load_loses_no_record_and_every_call_keeps_its_account(new_bench: NewBench) -> None:
    bench = new_bench(workers=4)
    bench.callee(picks_up(ring_ms=100))
    callers = [
        bench.caller(talk(2500), "4312345678", calls=100, rate=100),
        bench.caller(talk(2500), "4312345679", source="127.0.0.3", calls=100, rate=100),
    ]
    time.sleep(2.2)  # all 200 are talking
    bench.restart()
    for caller in callers:
        caller.finish()
    stops = bench.wait_for("stop", 200)
    setups = {(r["boot_id"], r["dialog_id"]): r for r in bench.records("setup")}
    assert len(setups) == len(bench.records("answer")) == len(stops) == 200
    for stop in stops:
        assert stop["account"] == setups[stop["setup_boot_id"], stop["dialog_id"]]["account"]
    for boot in {r["boot_id"] for r in bench.records()}:
        assert [r["seq"] for r in bench.records(boot_id=boot)] == list(range(1, len(bench.records(boot_id=boot)) + 1))


def test_a_switch_without_a_carrier_says_503_and_records_it(new_bench: NewBench) -> None:
    bench = new_bench(carriers=0)
    bench.caller(refused(503), "4312345678").finish()
    (stop,) = bench.wait_for("stop")
    assert stop["sip_code"] == 503 and "carrier" not in stop


@pytest.mark.parametrize("reason", ["Q.850;cause=1000", "Q.850 ;cause=" + "9" * 400, "Q.850;cause=128", "Q.850;cause=-1", "Q.850;cause=x"])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_no_reason_that_an_end_gives_makes_a_call_free(new_bench: NewBench, reason: str, who: str) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        call = establish(caller, callee, bench.address, "4312345678")
        time.sleep(0.4)
        side, other = (call.caller, call.callee) if who == "caller" else (call.callee, call.caller)
        bye = side.request("BYE", 9).replace(b"Content-Length", b"Reason: " + reason.encode() + b"\r\nContent-Length")
        side.phone.send(bye, bench.address)
        arrived, proxy = other.phone.wait_for(b"BYE")
        other.phone.send(reply(arrived, 200, "OK"), proxy)
        (stop,) = bench.wait_for("stop")
    record = msgspec.json.decode(bench.lines()[-1], type=Record)
    assert record.q850 is None and record.release_cause_text.startswith("Q.850")
    assert 300 <= stop["end_ms"] - stop["answer_ms"] <= 700


def test_no_request_inside_a_call_lengthens_it(new_bench: NewBench) -> None:
    bench = new_bench(sources=(Source("127.0.0.2", "t1", "acme", "in-acme", max_call_s=2),))
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        call = establish(caller, callee, bench.address, "4312345678")
        for n in range(3):
            time.sleep(0.5)
            caller.send(call.caller.request("INFO", 10 + n), bench.address)
            arrived, proxy = callee.wait_for(b"INFO")
            callee.send(reply(arrived, 200, "OK"), proxy)
        bye, proxy = callee.wait_for(b"BYE", 6)
        callee.send(reply(bye, 200, "OK"), proxy)
        (stop,) = bench.wait_for("stop")
    assert stop["suspected_hung"] and stop["end_ms"] - stop["answer_ms"] < 4600


def test_a_block_that_came_meanwhile_refuses_a_change_inside_the_call_and_the_call_goes_on(new_bench: NewBench) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        call = establish(caller, callee, bench.address, "88213123456")
        bench.block("t1|A|acme||88213")
        caller.send(call.caller.request("INVITE", 10), bench.address)
        assert caller.final() == 603
        call.hang_up(call.caller)
        (stop,) = bench.wait_for("stop")
    (refused,) = bench.records("refused")
    assert refused["dialog_id"] != stop["dialog_id"] and refused["order_id"] == "o-1" and refused["call_id"] == stop["call_id"]


def test_a_call_whose_record_cannot_be_kept_is_let_in_only_if_the_operator_says_so(new_bench: NewBench) -> None:
    for refuse in (True, False):
        bench = new_bench(spool_span_s=1, refuse_unrecorded=refuse)
        spool = bench.running.settings.spool_dir
        spool.rename(spool.with_name("gone"))
        time.sleep(1.1)
        with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
            for number, passes in (("4312345678", not refuse), ("112", True), ("*31%23112", True)):
                caller.send(caller.invite(number, to=bench.address), bench.address)
                if not passes:
                    assert caller.final() == 503
                    continue
                invite_, proxy = callee.wait_for(b"INVITE")
                callee.send(reply(invite_, 486, "Busy Here"), proxy)
                assert caller.final() == 486
        spool.with_name("gone").rename(spool)
        bench.close()
        spool.rename(spool.with_name(f"spool-{refuse}"))


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("code", [200, 488])
def test_an_end_that_moves_is_found_where_it_is_once_the_other_has_taken_it(new_bench: NewBench, who: str, code: int) -> None:
    bench = new_bench()
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller, Phone("127.0.0.2") as moved:
        call = establish(caller, callee, bench.address, "4312345678")
        side, other = (call.caller, call.callee) if who == "caller" else (call.callee, call.caller)
        contact = f"Contact: <sip:moved@{moved.address}:{moved.port}>".encode()
        side.phone.send(re.sub(rb"Contact: [^\r]*", contact, side.request("INVITE", 10)), bench.address)
        arrived, proxy = other.phone.wait_for(b"INVITE")
        own = f"Contact: <sip:end@{other.phone.address}:{other.phone.port}>\r\n".encode()
        other.phone.send(reply(arrived, code, "Said", headers=own), proxy)
        side.phone.wait_for(f"SIP/2.0 {code}".encode())
        time.sleep(0.1)
        other.phone.send(other.request("BYE", 20), bench.address)
        arrived, proxy = (moved if code == 200 else side.phone).wait_for(b"BYE")
        (moved if code == 200 else side.phone).send(reply(arrived, 200, "OK"), proxy)
        bench.wait_for("stop", account="acme")
