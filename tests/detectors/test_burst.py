"""What a burst is, in tables: who calls, where to, how often, and who is ordered against."""

from __future__ import annotations

import pytest

from core.policy import Policy
from core.record import Record, journal_key

HOUR_MS = 3_600_000

DECAYED = {
    "t_ms": "int64", "weighted": "float64", "calls": "float64", "usual": "float64", "usual_money": "float64", "since_ms": "int64",
    "sum_nanos": "int64", "sum_calls": "int64", "sum_talk_ms": "int64", "top": "int64", "lead": "float64", "begin_ms": "int64",
    "begin_nanos": "int64", "begin_calls": "int64", "begin_talk_ms": "int64", "before_ms": "int64", "before_nanos": "int64",
    "before_calls": "int64", "before_talk_ms": "int64",
}  # fmt: skip
FADING = {"t_ms": "int64", "calls": "float64"}
STORED = {
    "account": DECAYED, "a_number": DECAYED, "b_range": DECAYED, "unpriced": DECAYED, "range": FADING, "unpriced_crowd": FADING,
}  # fmt: skip


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
def test_a_burst_is_money_and_a_crowd(day_of, times, b_number, talk_s, ordered):
    day = day_of()
    day.calls(times, b_number, talk_s)
    assert day.ordered() == ordered


def test_a_withheld_caller_is_blocked_by_account_and_range_alone(day_of):
    day = day_of()
    day.calls(10, "8821312", a_raw="anonymous")
    assert day.ordered() == {"t1/account:acme/b:8821312"}


def test_a_caller_without_an_account_is_an_alert_and_never_an_order(day_of):
    day = day_of(self_register=True, default_sell_deck="basic")
    day.calls(20, "8821312", account="")
    assert day.findings and not day.orders


def test_a_prefix_that_the_deck_lacks_is_watched_by_its_minutes(day_of):
    day = day_of()
    day.calls(40, "99890123", talk_s=1800)
    assert "at no known price" in day.findings[0].reason
    assert "t1/account:acme/a:4366012345678/b:99890123" in day.ordered()


@pytest.mark.parametrize(("units", "blocked"), [({}, True), ({"IDR": 17_500.0}, False)])
def test_floors_are_in_units_that_a_currency_is_measured_by(day_of, units, blocked):
    day = day_of("IDR", policy=Policy(units=units))
    day.calls(8, "6281234")  # 8 times 2 minutes at 15,000 rupiah: 14 euro in all
    assert bool(day.orders) == blocked


def test_an_order_comes_again_each_minute_while_its_condition_holds(day_of):
    day = day_of()
    day.calls(130, "8821312")
    assert [order.created_at_ms for order in day.orders] == sorted({order.created_at_ms for order in day.orders})
    assert len(day.orders) == 1 + (130 - 8) // 60
    assert len({order.order_id for order in day.orders}) == len(day.orders)
    assert len({finding.finding_id for finding in day.findings if finding.subject_kind == "b_range"}) == 1


def test_faded_callers_are_forgotten_at_the_hour_and_a_subject_with_a_past_is_not(day_of):
    day = day_of()
    day.tick()
    day.calls(60, "8821312", account="other")
    for no in range(500):
        day.calls(1, "4312345", talk_s=1, a_raw=f"+43660{no:07d}")
    known = day.state.detectors.subjects["burst"]
    assert len(known["a_number"]) == 501
    day.tick(8 * HOUR_MS)
    assert len(known["a_number"]) == 1
    assert len(known["range"]) == 0
    assert float(known["account"]["usual"][0]) > 0


def test_money_has_its_currency_also_where_the_last_record_moved_none(day_of):
    """A setup costs nothing: the money that its finding shows was spent before."""
    day = day_of()
    day.calls(12, "8821312")
    spent = len(day.findings)
    day.at_ms += 120_000
    setup = Record(
        v=2, event="setup", switch="k1", boot_id="b", seq=day.offset, dialog_id="new", call_id="new", at_ms=day.at_ms, account="acme",
        ingress_trunk="in", a_raw="+4366012345678", b_raw="+88213120001",
    )  # fmt: skip
    day.judge(journal_key("t1", "acme", "in"), setup)
    assert len(day.findings) > spent, "it is written again each minute"
    assert {finding.currency for finding in day.findings} == {"EUR"}
    assert not any("at no known price" in finding.reason for finding in day.findings)
