"""The money of real calls, as stored in the warehouse."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from kamailio_calls import ack, expect, in_call, invite, pause, provisional, refused, scenario, sdp_of, talk
from raw_sip import Phone, caller_side
from real_chain import CROSSING, EARLY_MEDIA, NO_CIRCUIT, REINVITE, Chain, Customer, never_hangs_up

pytestmark = [pytest.mark.kamailio, pytest.mark.slow]

SLOW_S = 90.0
"""From the switch to the warehouse: a second or two, on a busy machine a minute."""

Placed = dict[str, Customer]


@cache
def place(chain: Chain) -> Placed:
    """All calls of this file at the same time, each of its own customer."""
    who = {name: chain.customer() for name in ("rings_long", "early", "two_carriers", "reinvite", "crossing")}
    who["lost_bye"] = chain.known[0]
    reinvite = scenario(
        invite(), provisional(), expect(200, rrs=True), ack(), pause(700), in_call("INVITE", 2, body=sdp_of("sendonly")),
        expect(100, optional=True), expect(200), ack(2), pause(700), in_call("BYE", 3), expect(200),
    )  # fmt: skip
    going = [
        chain.call(who["rings_long"], "43123455000", talk(2000)),
        chain.call(who["early"], f"{EARLY_MEDIA}450800", refused(480)),
        chain.call(who["two_carriers"], f"{NO_CIRCUIT}450100", talk(1500)),
        chain.call(who["reinvite"], f"{REINVITE}450100", reinvite),
        chain.call(who["lost_bye"], "43123450100", never_hangs_up()),
    ]
    cross(chain, who["crossing"])
    for sipp in going:
        sipp.finish(40)
    return who


def cross(chain: Chain, who: Customer, talk_ms: int = 1200) -> None:
    """A CANCEL that crosses the 200; the caller accepts the call and hangs up later."""
    switch = chain.bench.address
    with Phone(who.address) as caller:
        request = caller.invite(f"{CROSSING}450100", to=switch, branch="crossing")
        caller.send(request, switch)
        caller.wait_for(b"SIP/2.0 180")
        caller.send(request.replace(b"INVITE", b"CANCEL"), switch)
        answered = b""
        while b"1 INVITE" not in answered:
            answered, _ = caller.wait_for(b"SIP/2.0 200")
        side = caller_side(caller, answered)
        caller.send(side.request("ACK", 1), switch)
        time.sleep(talk_ms / 1000)
        caller.send(side.request("BYE", 2), switch)
        while b"2 BYE" not in answered:
            answered, _ = caller.wait_for(b"SIP/2.0 200")


def only(chain: Chain, name: str) -> dict[str, Any]:
    """The one call of a customer."""
    (row,) = chain.wait_rated(place(chain)[name], 1)
    return row


def sold(seconds: int) -> Decimal:
    return Decimal("0.01") + seconds * Decimal("0.001")


def bought(seconds: int, carrier: str = "alpha") -> Decimal:
    """Without attempt fees."""
    connect, second = {"alpha": ("0.004", "0.0005"), "beta": ("0.005", "0.0006")}[carrier]
    return Decimal(connect) + seconds * Decimal(second)


def test_five_seconds_of_ringing_and_two_of_talk_bill_two_seconds(chain: Chain) -> None:
    row, who = only(chain, "rings_long"), place(chain)["rings_long"]
    (shown,) = json.loads(chain.ask("calls", "--account", who.account, "--json"))
    assert (shown["number"], shown["billable_s"], shown["disposition"]) == ("43123455000", 2, "rated")
    assert abs(shown["duration_s"] - 2) < 0.1 and row["answer_ms"] - row["setup_ms"] >= 5000
    assert (Decimal(shown["sell"]), Decimal(shown["buy"])) == (sold(2), bought(2) + Decimal("0.001"))


def test_early_media_without_an_answer_costs_only_the_attempt(chain: Chain) -> None:
    row = only(chain, "early")
    assert row["end_ms"] - row["setup_ms"] >= 800
    assert (row["answer_ms"], row["duration_ms"], row["billable_s"], row["sell"]) == (None, 0, 0, 0)
    assert (row["sip_code"], row["buy"]) == (480, Decimal("0.001"))


def test_after_a_503_of_alpha_two_attempts_are_stored_and_the_buy_is_betas_plus_fees(chain: Chain) -> None:
    row = only(chain, "two_carriers")
    assert (row["attempts"], row["carrier"], row["egress_trunk"]) == (2, "beta", "out-beta")
    assert row["buy_attempt_fees_nanos"] == 1_000_000 + 2_000_000
    assert row["buy"] == bought(row["billable_s"], "beta") + Decimal("0.003")
    assert row["sell"] == sold(row["billable_s"])
    failed, answered = (
        chain.stored(place(chain)["two_carriers"], "attempt"),
        chain.stored(place(chain)["two_carriers"], "answer"),
    )
    assert [(r["attempt_no"], r["carrier"], r["sip_code"], r["q850"]) for r in failed] == [(1, "alpha", 503, 34)]
    assert [(r["attempt_no"], r["carrier"]) for r in answered] == [(2, "beta")]


def test_a_reinvite_does_not_change_the_money(chain: Chain) -> None:
    row = only(chain, "reinvite")
    assert abs(row["duration_ms"] - 1400) < 100 and row["revision"] == 1
    assert (row["attempts"], row["sell"]) == (1, sold(row["billable_s"]))


def test_a_call_whose_cancel_crossed_the_answer_costs_its_real_length(chain: Chain) -> None:
    row = only(chain, "crossing")
    assert abs(row["duration_ms"] - 1200) < 100
    assert (row["sell"], row["buy"]) == (sold(row["billable_s"]), bought(row["billable_s"]) + Decimal("0.001"))


def test_a_call_with_a_lost_bye_costs_the_trunks_limit_once_and_is_marked(chain: Chain) -> None:
    row = only(chain, "lost_bye")
    who = place(chain)["lost_bye"]
    written = chain.bench.records
    chain.until(lambda: len(chain.stored(who, "stop")) == 1, SLOW_S, lambda: f"one stored stop; the switch wrote {written(account=who.account)}")
    (row,) = chain.until(lambda: [r for r in chain.rated(who) if r["release_side"] == "switch"], SLOW_S)
    assert row["suspected_hung"] and 2900 <= row["duration_ms"] <= 4600
    assert row["sell"] == sold(row["billable_s"])
    assert {r["disposition"] for r in chain.stored(who)} == {"event", "rated"}
