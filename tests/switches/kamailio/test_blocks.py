"""Calls that blocks refuse, calls that always pass, and the hold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from kamailio_calls import ACME, BLUE, STRANGER, Bench, Source, picks_up, refused, talk
from raw_sip import Phone
from until import until

from core.numbers import DialPlan
from switches.signed_log import signed_records

pytestmark = pytest.mark.kamailio
HOSPITAL = "127.0.0.4"
NewBench = Callable[..., Bench]

AUSTRIA = DialPlan(name="at", country_code="43", trunk_prefix="0", tech_prefixes=("7001#",), emergency=("112", "133", "144"))
IN_AUSTRIA = {
    "dial_plans": (DialPlan(), AUSTRIA),
    "sources": (Source(ACME, "t1", "acme", "in-acme", "at"), Source(BLUE, "t1", "blue", "in-blue", "at")),
}


def code_of(bench: Bench, number: str | bytes, *, source: str = ACME, caller: str = "4319990001", **more: object) -> int:
    """The final answer to one INVITE. A 200 gets no ACK: the rest of the call is not tested here."""
    settings = bench.running.settings
    to = (settings.listen, settings.sip_port)
    with Phone(source) as phone:
        from_value = f"<sip:{caller}@{source}>".encode()
        phone.send(phone.invite(number, to=to, **{"from_value": from_value, **more}), to)  # type: ignore[arg-type]
        return phone.final()


def test_a_blocked_account_is_refused_while_another_goes_on_until_it_is_unblocked(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up())
    bench.caller(talk(), "8821312345").finish()

    bench.block("t1|A|acme||", "order-7")
    honest = bench.caller(talk(), "4312345678", source=BLUE, calls=20, rate=20)
    bench.caller(refused(), "8821312345", calls=20, rate=20).finish()
    honest.finish()
    rows = bench.wait_for("refused", 20)
    assert {(r["order_id"], r["account"], r["sip_code"], r["release_side"]) for r in rows} == {("order-7", "acme", 603, "switch")}
    assert len(bench.records("answer", account="blue")) == 20
    assert len({r["dialog_id"] for r in bench.records("refused")}) == 20

    bench.unblock("t1|A|acme||")
    bench.caller(talk(), "8821312345").finish()
    assert len(bench.records("answer", account="acme")) == 2


def test_a_block_ends_at_its_time_to_live_though_nobody_is_there_to_end_it(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up())
    bench.block("t1|A|acme||", ttl_s=2)
    assert code_of(bench, "4312345678") == 603
    time.sleep(3.1)  # Kamailio counts whole seconds
    bench.caller(talk(50), "4312345678").finish()


def test_a_range_does_not_catch_its_neighbour_and_the_longest_key_wins(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up(ring_ms=0))
    bench.block("t1|A|acme||88213", "range")
    bench.block("t1|A|acme||882135", "longer")
    bench.block("t1|A|acme|4319990009|", "caller")
    bench.block("t1|T|in-blue||4477", "trunk")
    assert code_of(bench, "882131234567") == 603
    assert code_of(bench, "882135234567") == 603
    assert code_of(bench, "882141234567") == 200
    assert code_of(bench, "88212999999") == 200
    assert code_of(bench, "4312345678", caller="4319990009") == 603
    assert code_of(bench, "447712345678", source=BLUE) == 603
    assert code_of(bench, "447712345678") == 200
    assert [r["order_id"] for r in bench.records("refused")] == ["range", "longer", "caller", "trunk"]


@pytest.mark.parametrize(
    "number",
    ["+88213123456", "0088213123456", "7001#88213123456", "%2B88213123456", "+882-13 123456".replace(" ", "%20"), "88213*123456",
     "8821312345678901234", "88213123456;npdi;rn=+4369911"],
)  # fmt: skip
def test_a_mangled_number_does_not_slip_past_a_range(new_bench: NewBench, number: str) -> None:
    bench = new_bench(**IN_AUSTRIA)
    bench.block("t1|A|acme||88213")
    assert code_of(bench, number.replace("#", "%23")) == 603


def test_two_accounts_with_the_same_from_and_a_spoofed_one(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up(ring_ms=0))
    bench.block("t1|A|acme|4319990001|")
    assert code_of(bench, "4312345678", source=ACME) == 603
    assert code_of(bench, "4312345678", source=BLUE) == 200  # the same From, and the asserted one below, from another address
    asserted = b"P-Asserted-Identity: <sip:4319990001@acme.example>\r\n"
    assert code_of(bench, "4312345678", source=BLUE, headers=asserted) == 200
    assert code_of(bench, "4312345678", source=ACME, headers=b"P-Asserted-Identity: <tel:+4319990002>\r\n") == 200
    assert code_of(bench, "4312345678", source=STRANGER) == 403
    (stranger,) = bench.records("refused", sip_code=403)
    assert "account" not in stranger and "tenant" not in stranger and stranger["src_ip"] == STRANGER
    assert {r["account"] for r in bench.records("setup")} == {"acme", "blue"}
    assert {r["a_raw"] for r in bench.records("setup", account="acme")} == {"+4319990002"}


def test_a_blocked_caller_reaches_112_and_then_its_national_calls_and_its_line_are_open(new_bench: NewBench) -> None:
    bench = new_bench(**IN_AUSTRIA)
    bench.callee(picks_up(ring_ms=0))
    for key in ("t1|A|acme||", "t1|A|blue||"):
        bench.block(key)
    line = "4319990001"
    assert code_of(bench, "01234567", caller=line) == 603
    assert code_of(bench, "0" + line[2:], source=BLUE, caller="4317770000") == 603

    bench.caller(talk(50), "112", caller=line).finish()
    assert code_of(bench, "+112", caller="4310000000") == 200  # as some mobiles write it
    assert code_of(bench, "144", caller="4310000000") == 200  # the dial plan's
    assert code_of(bench, "", uri=b"urn:service:sos", caller="4310000000") == 200

    assert code_of(bench, "01234567", caller=line) == 200  # a national call of that line
    assert code_of(bench, "0" + line[2:], caller="4317770000") == 200  # the call back to it, by its own account
    assert code_of(bench, "0" + line[2:], source=BLUE, caller="4317770000") == 603  # and by no other
    assert code_of(bench, "0088213123456", caller=line) == 603  # abroad stays closed
    assert code_of(bench, "01234567", caller="4318880000") == 603  # another line of the account as well

    bench.restart()
    for key in ("t1|A|acme||", "t1|A|blue||"):
        bench.block(key)
    assert code_of(bench, "01234567", caller=line) == 200
    assert code_of(bench, "01234567", caller="4318880000") == 603
    sent = [r for r in bench.records("attempt") + bench.records("answer") if "sent_number" in r]
    assert {r["sent_number"] for r in sent} >= {"112", "144", "431234567"}


def test_a_line_that_the_lists_call_an_emergency_line_opens_the_same_hours(new_bench: NewBench) -> None:
    bench = new_bench(**IN_AUSTRIA)
    bench.callee(picks_up(ring_ms=0))
    bench.fill("protected", {"140": "emergency: AT", "142": "crisis line: AT"})
    bench.block("t1|A|acme||")
    assert code_of(bench, "142") == 200 and code_of(bench, "01234567") == 603
    assert code_of(bench, "140") == 200 and code_of(bench, "01234567") == 200


def test_a_forged_emergency_call_does_not_open_a_premium_range(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up(ring_ms=0))
    bench.block("t1|A|acme||88213")
    bench.block("t1|A|acme||979")
    for caller in ("882131234567", "979123456789"):
        assert code_of(bench, "112", caller=caller) == 200
        assert code_of(bench, caller) == 603
        assert code_of(bench, caller, caller=caller) == 603


def test_an_emergency_call_needs_no_known_address(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up(ring_ms=0))
    assert code_of(bench, "112", source=STRANGER) == 200


def test_protected_numbers_pass_calling_and_called_and_extensions_of_full_ones(new_bench: NewBench) -> None:
    protected = ("116123", "4314004", "43140041", "T|in-blue")
    hospital = Source(HOSPITAL, "t1", "hospital", "in-hospital", caller_ranges=("4314004",))
    bench = new_bench(protected=protected, sources=(Source(ACME, "t1", "acme", "in-acme"), Source(BLUE, "t1", "blue", "in-blue"), hospital))
    bench.callee(picks_up(ring_ms=0))
    for key in ("t1|A|acme||", "t1|A|blue||", "t1|A|hospital||"):
        bench.block(key)
    assert code_of(bench, "116123") == 200
    assert code_of(bench, "4314004") == 200
    assert code_of(bench, "4314004123") == 200
    assert code_of(bench, "4314005123") == 603
    assert code_of(bench, "4314005123", caller="4314004") == 603  # anybody can claim that
    assert code_of(bench, "4314005123", source=HOSPITAL, caller="4314004") == 200
    assert code_of(bench, "4314005123", source=BLUE) == 200


def test_hold_turns_all_blocks_off_with_one_command_and_survives_a_restart(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up(ring_ms=0))
    bench.block("t1|A|acme||")
    flag = bench.running.settings.run_dir / "hold"
    assert code_of(bench, "4312345678") == 603
    flag.touch()
    assert code_of(bench, "4312345678") == 200

    bench.restart()
    bench.block("t1|A|acme||")
    assert code_of(bench, "4312345678") == 200
    until(lambda: _hold(bench) == "1", 30, "the flag shows in the table")

    flag.unlink()
    until(lambda: _hold(bench) == "0", 30, "the flag is gone from the table")
    assert code_of(bench, "4312345678") == 603

    assert bench.post("htable.seti", "ctl", "hold", 1).status_code == 200
    assert flag.exists() and code_of(bench, "4312345678") == 200
    assert bench.post("htable.seti", "ctl", "hold", 0).status_code == 200
    assert not flag.exists() and code_of(bench, "4312345678") == 603


def _hold(bench: Bench) -> str:
    return str(bench.post("htable.get", "ctl", "hold").json()["result"]["item"]["value"])


def test_shadow_says_what_it_would_have_refused_and_lets_it_pass(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.callee(picks_up(ring_ms=0))
    bench.block("t1|A|acme||88213", "order-9", table="shadow")
    assert code_of(bench, "882131234567") == 200
    assert code_of(bench, "4312345678") == 200
    assert [r.get("order_id") for r in bench.records("setup")] == ["shadow:order-9", None]


def test_a_to_tag_is_no_way_around_a_block(new_bench: NewBench) -> None:
    bench = new_bench()
    bench.block("t1|A|acme||")
    settings = bench.running.settings
    route = f"Route: <sip:{settings.listen}:{settings.sip_port};lr;rf=1~2~t1~acme~in~3~bm9wZQ>\r\n".encode()
    assert code_of(bench, "882131234567", to_tag="made-up") == 481
    assert code_of(bench, "882131234567", to_tag="made-up", headers=route) == 481


def test_whatever_is_broken_of_ours_a_call_goes_on_and_its_records_are_in_the_log(new_bench: NewBench) -> None:
    bench = new_bench(spool_span_s=1)
    bench.callee(picks_up(ring_ms=0))
    settings = bench.running.settings
    assert bench.post("ringfence.set", "dialplan", "e164", "nonsense", 0).status_code == 200
    settings.spool_dir.rename(settings.spool_dir.with_name("gone"))
    time.sleep(1.1)
    bench.caller(talk(50), "4312345678").finish()
    told = signed_records(bench.running.log.read_bytes(), settings.secret.encode()).lines
    assert [json.loads(line)["event"] for line in told] == ["setup", "ringing", "answer", "stop"]

    settings.spool_dir.with_name("gone").rename(settings.spool_dir)
    bench.caller(talk(50), "4312345679").finish()
    assert [r["event"] for r in bench.records(b_raw="4312345679")] == ["setup", "ringing", "answer", "stop"]
