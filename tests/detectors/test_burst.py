"""What a burst is, in tables: who calls, where to, how often, and who is ordered against."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from core.config import Account, Caps, Config, Trunk
from core.message import Message
from core.policy import Policy
from core.record import TICK_KEY, Record, Tick, journal_key
from detectors import burst
from flows.step import State, judge
from rating.contracts import ConfigError, compile_contracts
from rating.decks import read_deck

NOW_MS = 1_772_438_400_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
DECK = b"prefix,price_per_min\n4,0.02\n882,5\n371,2\n62,15000"


def contracts(currency: str = "EUR", **changes):
    facts = {
        "version": 1, "decks": {"basic": "x"}, "trunks": (Trunk(tenant="t1", name="in"),),
        "accounts": (Account(tenant="t1", name="acme", sell_deck="basic"), Account(tenant="t1", name="other", sell_deck="basic")),
    } | changes  # fmt: skip
    return compile_contracts(Config(**facts), {"basic": read_deck(DECK, "basic", currency)})


class Day:
    """A log of finished calls, one a second apart."""

    def __init__(self, rules) -> None:
        self.rules, self.state, self.offset, self.at_ms, self.orders, self.findings = rules, State(b"s" * 16), 0, NOW_MS, [], []

    def judge(self, key: bytes, value) -> None:
        outcome = judge(self.state, [Message(0, self.offset, self.at_ms, key, msgspec.json.encode(value))], lambda _: self.rules)
        self.offset += 1
        self.orders += outcome.orders
        self.findings += outcome.findings

    def tick(self, after_ms: int = 0) -> None:
        self.at_ms += after_ms
        self.judge(TICK_KEY, Tick(at_ms=self.at_ms, config_version=1, complete_to_ms={"k1": self.at_ms}))

    def calls(self, times: int, b_number: str, talk_s: int = 120, a_raw: str = "+4366012345678", account: str = "acme", spread: bool = False) -> None:
        for no in range(times):
            self.at_ms += 1000
            number = f"{b_number}{no:04d}" if not spread else f"{b_number[:-3]}{no:03d}{no:04d}"
            stop = Record(
                v=2, event="stop", switch="k1", boot_id="b", seq=self.offset, dialog_id=str(self.offset), call_id=f"c{self.offset}",
                at_ms=self.at_ms, account=account, ingress_trunk="in", a_raw=a_raw, b_raw="+" + number,
                answer_ms=self.at_ms - talk_s * 1000, end_ms=self.at_ms, sip_code=200,
            )  # fmt: skip
            self.judge(journal_key("t1", account, "in"), stop)

    def ordered(self) -> set[str]:
        return {order.key.text() for order in self.orders}


@pytest.mark.parametrize(
    ("times", "b_number", "talk_s", "ordered"),
    [
        # a range that fills up, dear and far away: the narrowest block
        (10, "8821312", 120, {"t1/account:acme/a:4366012345678/b:8821312"}),
        # one long call home by satellite, however dear, is nobody's crowd
        (1, "8821312", 3600, set()),
        # three hundred cheap calls into one range cost nothing to speak of
        (300, "4312345", 120, set()),
    ],
)
def test_a_burst_is_money_and_a_crowd(times, b_number, talk_s, ordered):
    day = Day(contracts())
    day.calls(times, b_number, talk_s)
    assert day.ordered() == ordered


def test_a_withheld_caller_is_blocked_by_account_and_range_alone():
    day = Day(contracts())
    day.calls(10, "8821312", a_raw="anonymous")
    assert day.ordered() == {"t1/account:acme/b:8821312"}


def test_a_caller_without_an_account_is_an_alert_and_never_an_order():
    day = Day(contracts(self_register=True, default_sell_deck="basic"))
    day.calls(20, "8821312", account="")
    assert day.findings and not day.orders


def test_a_prefix_that_the_deck_lacks_is_watched_by_its_minutes():
    day = Day(contracts())
    day.calls(40, "99890123", talk_s=1800)
    assert "at no known price" in day.findings[0].reason
    assert "t1/account:acme/a:4366012345678/b:99890123" in day.ordered()


@pytest.mark.parametrize(("units", "blocked"), [({}, True), ({"IDR": 17_500.0}, False)])
def test_floors_are_in_units_that_a_currency_is_measured_by(units, blocked):
    day = Day(contracts("IDR", policy=Policy(units=units)))
    day.calls(8, "6281234")  # 8 times 2 minutes at 15,000 rupiah: 14 euro in all
    assert bool(day.orders) == blocked


def test_an_order_comes_again_each_minute_while_its_condition_holds():
    day = Day(contracts())
    day.calls(130, "8821312")
    assert [order.created_at_ms for order in day.orders] == sorted({order.created_at_ms for order in day.orders})
    assert len(day.orders) == 1 + (130 - 8) // 60
    assert len({order.order_id for order in day.orders}) == len(day.orders)
    assert len({finding.finding_id for finding in day.findings if finding.subject_kind == "b_range"}) == 1


def test_faded_callers_are_forgotten_at_the_hour_and_a_subject_with_a_past_is_not():
    day = Day(contracts())
    day.tick()
    day.calls(60, "8821312", account="other")
    for no in range(500):
        day.calls(1, "4312345", talk_s=1, a_raw=f"+43660{no:07d}")
    assert len(day.state.burst["a_number"]) == 501
    day.tick(8 * HOUR_MS)
    assert len(day.state.burst["a_number"]) == 1
    assert len(day.state.burst["range"]) == 0
    assert float(day.state.burst["account"]["usual"][0]) > 0


def test_forgetting_leaves_other_partitions_alone():
    state = burst.new_state()
    places = state["range"].places([1, 2])
    state["range"]["partition"][places] = np.asarray([0, 1])
    burst.forget(state, 0, NOW_MS, Policy())
    assert state["range"].find(1) == -1 and state["range"].find(2) == 0


@pytest.mark.parametrize(
    ("caps", "detector", "words", "ordered"),
    [
        (Caps(money_hour_nanos=10**10), "cap_money_hour", "acme has spent 10.02 EUR this hour; its cap is 10.00 EUR.", True),
        (Caps(money_day_nanos=10**10), "cap_money_day", "acme has spent 10.02 EUR today (UTC); its cap is 10.00 EUR.", True),
        (Caps(calls_per_second=0), "cap_calls_per_second", "acme has begun 1 call in one second; its cap is 0.", True),
    ],
)
def test_a_cap_is_a_line_that_the_operator_drew(caps, detector, words, ordered):
    day = Day(contracts(accounts=(Account(tenant="t1", name="acme", sell_deck="basic", caps=caps),)))
    day.calls(501, "4312", talk_s=60)
    found = [finding for finding in day.findings if finding.detector == detector]
    assert words in found[0].reason
    assert (day.ordered() == {"t1/account:acme"}) == ordered


def test_calls_at_once_count_from_answer_to_end():
    day = Day(contracts(accounts=(Account(tenant="t1", name="acme", sell_deck="basic", caps=Caps(concurrent_calls=2)),)))
    for no, (event, call) in enumerate([("answer", 1), ("answer", 2), ("stop", 1), ("answer", 3), ("answer", 4)]):
        day.at_ms += 1000
        record = Record(
            v=2, event=event, switch="k1", boot_id="b", seq=no, dialog_id=str(call), call_id=f"c{call}", at_ms=day.at_ms, account="acme",
            a_raw="+4366012345678", b_raw="+4312345678", sip_code=200,
        )  # fmt: skip
        day.judge(journal_key("t1", "acme", ""), record)
        assert bool(day.findings) == (call == 4)


def test_a_first_call_to_a_country_is_said_once():
    day = Day(contracts(accounts=(Account(tenant="t1", name="acme", sell_deck="basic", first_seen_destination=True),)))
    day.calls(3, "37120123", talk_s=10)
    day.calls(3, "4312345", talk_s=10)
    assert [finding.subject for finding in day.findings] == ["acme>LV", "acme>AT"]
    assert not day.orders


def test_a_policy_that_would_stop_the_flow_is_refused_with_its_place():
    with pytest.raises(ConfigError, match="half_life_s: must be > 0"):
        contracts(policy=Policy(half_life_s=0))


def test_money_has_its_currency_also_where_the_last_record_moved_none():
    """A setup costs nothing: what is told beside it was spent before."""
    day = Day(contracts(accounts=(Account(tenant="t1", name="acme", sell_deck="basic"),)))
    day.calls(12, "8821312")
    spent = len(day.findings)
    day.at_ms += 120_000
    setup = Record(
        v=2, event="setup", switch="k1", boot_id="b", seq=day.offset, dialog_id="new", call_id="new", at_ms=day.at_ms, account="acme",
        ingress_trunk="in", a_raw="+4366012345678", b_raw="+88213120001",
    )  # fmt: skip
    day.judge(journal_key("t1", "acme", "in"), setup)
    assert len(day.findings) > spent, "it is said again each minute"
    assert {finding.currency for finding in day.findings} == {"EUR"}
    assert not any("at no known price" in finding.reason for finding in day.findings)
