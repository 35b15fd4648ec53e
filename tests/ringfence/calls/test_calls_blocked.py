"""From an attack to its block and back: detected, ordered, delivered, refused, lifted."""

from __future__ import annotations

import json
import time

import pytest
from kamailio_calls import Sipp, refused, talk
from real_chain import PREMIUM, Chain, Customer, enforcing, talk_or_refused

pytestmark = [pytest.mark.kamailio, pytest.mark.slow]

RANGE = f"{PREMIUM}777"
"""The number that the attacker calls."""


def burst(chain: Chain, who: Customer, calls: int = 40) -> Sipp:
    """Revenue share fraud: expensive calls into one range, ten per second."""
    return chain.call(who, f"{RANGE}0100", talk_or_refused(2500), calls=calls, rate=10)


def test_a_burst_gets_603_while_others_call_and_passes_after_a_person_lifts_it(chain: Chain) -> None:
    guilty, honest = chain.customer(), chain.customer()
    with enforcing(chain):
        others = chain.call(honest, "43123450100", talk(700), calls=60, rate=10)
        attack = burst(chain, guilty)
        chain.until(lambda: chain.bench.records("refused", account=guilty.account), 30, "the first refused INVITE")
        attack.finish(30)
        chain.call(guilty, "43123450100", talk(200)).finish()
        others.finish(30)

        refusals = chain.bench.records("refused", account=guilty.account)
        assert {(r["sip_code"], r["release_side"]) for r in refusals} == {(603, "switch")}
        assert len(refusals) >= 20 and not chain.bench.records("refused", account=honest.account)
        assert len(chain.wait_rated(honest, 60)) == 60
        (key,) = chain.held_any(guilty)
        assert key.startswith(f"t1|A|{guilty.account}|4319990001|{PREMIUM}"), "the narrowest block that covers it"
        chain.ask("unblock", "--account", guilty.account, "--why", "a test")
        chain.until(lambda: not chain.held_any(guilty), 30, "an empty table")
        chain.call(guilty, f"{RANGE}0100", talk(200)).finish()
    status = json.loads(chain.ask("status", "--json"))
    assert status["alerts"] >= 1


def test_in_shadow_a_burst_goes_on_and_the_records_are_marked(chain: Chain) -> None:
    guilty = chain.customer()
    burst(chain, guilty).finish(30)
    marked = [r for r in chain.bench.records("setup", account=guilty.account) if "order_id" in r]
    assert len(marked) >= 20 and all(r["order_id"].startswith("shadow:") for r in marked)
    assert not chain.bench.records("refused", account=guilty.account)
    assert len(chain.wait_rated(guilty, 40)) == 40
    stored = [r["order_id"] for r in chain.stored(guilty, "setup")]
    assert sum(order.startswith("shadow:") for order in stored) == len(marked)


def test_a_persons_block_ends_at_its_time_and_never_stands_before_112(chain: Chain) -> None:
    brief, whole = chain.customer(), chain.customer()
    with enforcing(chain):
        chain.ask("block", "--account", whole.account, "--ttl", "1h", "--why", "a test")
        chain.ask("block", "--account", brief.account, "--b-range", "43699", "--ttl", "5s", "--why", "a test")
        asked_s = time.monotonic()
        chain.until(lambda: chain.held(whole) and chain.held(brief, "43699"), 30, "the blocks at the switch")
        going = [
            chain.call(brief, "436993450100", refused()),
            chain.call(brief, "436983450100", talk(200)),
            chain.call(whole, "43123450100", refused()),
        ]
        for sipp in going:
            sipp.finish()
        chain.call(whole, "112", talk(200)).finish()
        time.sleep(max(0.0, asked_s + 6 - time.monotonic()))  # the expired entry may stay in the table until it is swept, but refuses nobody
        chain.call(brief, "436993450100", talk(200)).finish()
