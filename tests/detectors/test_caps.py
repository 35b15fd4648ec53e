"""Caps of an account and of its destinations."""

from __future__ import annotations

import polars as pl
import pytest

from core.config import Caps
from core.record import Record, journal_key
from detectors.caps import DETECTOR, NOT_COUNTED
from detectors.features import FEATURES
from detectors.protocol import Case, Hit, Limits

COUNTED = {
    "hour": "int64", "hour_nanos": "int64", "day": "int64", "day_nanos": "int64", "second": "int64", "second_calls": "int64", "active": "int64",
}  # fmt: skip
STORED = {"account": COUNTED, "destination": COUNTED}


@pytest.mark.parametrize(
    ("caps", "detector", "words", "ordered"),
    [
        (Caps(money_hour_nanos=10**10), "cap_money_hour", "acme has spent 12.00 EUR this hour; its cap is 10.00 EUR.", True),
        (Caps(money_day_nanos=10**10), "cap_money_day", "acme has spent 12.00 EUR today (UTC); its cap is 10.00 EUR.", True),
        (Caps(calls_per_second=0), "cap_calls_per_second", "acme has begun 1 call in one second; its cap is 0.", True),
    ],
)
def test_an_account_over_its_cap_is_reported_and_blocked(day_of, caps, detector, words, ordered):
    day = day_of(account={"caps": caps})
    day.calls(6, "37120123", talk_s=60)
    found = [finding for finding in day.findings if finding.detector == detector]
    assert words in found[0].reason
    assert (day.ordered() == {"t1/account:acme"}) == ordered


def test_concurrent_calls_count_from_answer_to_end(day_of):
    day = day_of(account={"caps": Caps(concurrent_calls=2)})
    for no, (event, call) in enumerate([("answer", 1), ("answer", 2), ("stop", 1), ("answer", 3), ("answer", 4)]):
        day.at_ms += 1000
        record = Record(
            v=2, event=event, switch="k1", boot_id="b", seq=no, dialog_id=str(call), call_id=f"c{call}", at_ms=day.at_ms, account="acme",
            a_raw="+4366012345678", b_raw="+4312345678", sip_code=200,
        )  # fmt: skip
        day.judge(journal_key("t1", "acme", ""), record)
        assert bool(day.findings) == (call == 4)


def test_a_cap_of_one_destination_warns_and_counts_no_other(day_of):
    day = day_of(account={"destination_caps": Caps(money_hour_nanos=3 * 10**9)})
    day.calls(60, "4312345")
    day.calls(2, "37120123", talk_s=60)
    (finding,) = day.findings
    assert (finding.detector, finding.subject, finding.facts.value) == ("cap_money_hour", "acme>LV", 4 * 10**9)
    assert not day.orders and "this hour on calls to Latvia; its cap for one destination is 3.00 EUR." in finding.reason


def test_a_new_hour_starts_at_zero(day_of):
    day = day_of(account={"caps": Caps(money_hour_nanos=3 * 10**9)})
    for _ in range(4):
        day.calls(1, "37120123", talk_s=60)
        day.at_ms += 3_600_000
    assert not day.findings


DAY_MS = 86_400_000
LIMITS = Limits(caps={"account": {("t1", "acme"): Caps(concurrent_calls=0)}})


def row(t_ms: int, **changes) -> pl.DataFrame:
    """A row as the engine would make it."""
    facts = {"tenant": "t1", "account": "acme", "country": "AT", "t_ms": t_ms, "k_account": 7, "k_destination": 8, "home": 3} | changes
    plain = {name: "" if FEATURES[name] == pl.String else 0 for name in DETECTOR.needs}
    return pl.DataFrame([plain | facts], schema={name: FEATURES[name] for name in DETECTOR.needs})


def test_an_account_is_forgotten_after_two_days_without_active_calls():
    state = DETECTOR.new_state()
    DETECTOR.update(state, row(100 * DAY_MS + 5, active=1), None, LIMITS)
    state["account"].forget(0, 1000 * DAY_MS)
    (hit,) = DETECTOR.findings(DETECTOR.update(state, row(1001 * DAY_MS), None, LIMITS), None, LIMITS)
    assert (hit.cap, hit.value, hit.limit, hit.score) == ("concurrent_calls", 1, 0, 1.0), "it is still active"
    DETECTOR.update(state, row(1001 * DAY_MS, active=-1), None, LIMITS)
    state["account"].forget(0, 1004 * DAY_MS - 1)
    assert len(state["account"]) == 1, "a late row of that day must find what was spent in it"
    state["account"].forget(0, 1004 * DAY_MS)
    assert len(state["account"]) == 0


def test_a_late_row_is_not_added_to_a_later_hour_or_day():
    limits = Limits(caps={"account": {("t1", "acme"): Caps(money_hour_nanos=9, money_day_nanos=14)}})
    state = DETECTOR.new_state()
    found = [
        [(hit.cap, hit.value) for hit in DETECTOR.findings(DETECTOR.update(state, row(t_ms, nanos=5), None, limits), None, limits)]
        for t_ms in (3 * DAY_MS, 3 * DAY_MS + 3_600_000, 3 * DAY_MS + 1, 2 * DAY_MS, 3 * DAY_MS + 3_600_001)
    ]
    assert found == [[], [], [("money_day", 15)], [("money_day", 15)], [("money_hour", 10), ("money_day", 20)]]


# --- hits and facts ---


@pytest.mark.parametrize(
    ("caps", "changes", "hits"),
    [
        (Caps(money_hour_nanos=4), {"nanos": 4}, []),  # a cap may be used up
        (Caps(money_hour_nanos=4), {"nanos": 6}, [("cap_money_hour", 1.5, 6, 4)]),
        (Caps(money_day_nanos=4), {"nanos": 8}, [("cap_money_day", 2.0, 8, 4)]),
        (Caps(calls_per_second=1), {"calls": 3}, [("cap_calls_per_second", 3.0, 3, 1)]),
        (Caps(concurrent_calls=0), {"active": 2}, [("cap_concurrent_calls", 1.0, 2, 0)]),
        (Caps(), {"nanos": 9, "calls": 9, "active": 9}, []),
    ],
)
def test_a_hit_is_a_value_over_its_limit(caps, changes, hits):
    for watched, no_block in (("account", ""), ("destination", "destination")):
        limits = Limits(caps={watched: {("t1", "acme"): caps}})
        found = DETECTOR.findings(DETECTOR.update(DETECTOR.new_state(), row(DAY_MS, **changes), None, limits), None, limits)
        assert [(hit.detector, hit.score, hit.value, hit.limit) for hit in found] == hits
        assert {(hit.subject_kind, hit.no_block, hit.row) for hit in found} == ({(watched, no_block, 0)} if hits else set())


def test_rows_of_accounts_without_caps_are_not_counted():
    limits = Limits(caps={"account": {("t1", "acme"): Caps(money_hour_nanos=0)}})
    frame = pl.concat([row(DAY_MS, nanos=5, account="other"), row(DAY_MS, nanos=7), row(DAY_MS, nanos=5, tenant="t2")])
    found = DETECTOR.update(DETECTOR.new_state(), frame, None, limits)
    assert found["cap_account"].to_list() == [[NOT_COUNTED] * 4, [7, 7, 0, 0], [NOT_COUNTED] * 4]
    assert [hit.row for hit in DETECTOR.findings(found, None, limits)] == [1] and "cap_destination" not in found.columns
    assert "cap_account" not in DETECTOR.update(DETECTOR.new_state(), row(DAY_MS, account="other"), None, limits).columns
    assert DETECTOR.findings(found, None, Limits()) == []


@pytest.mark.parametrize(
    ("t_ms", "hour", "day", "second"),
    [(3_599_999, 2, 2, 1), (3_600_000, 1, 2, 1), (86_399_999, 1, 2, 1), (86_400_000, 1, 1, 1), (999, 2, 2, 2), (1000, 2, 2, 1)],
)
def test_money_counts_in_clock_hours_and_days_and_calls_in_seconds(t_ms, hour, day, second):
    limits = Limits(caps={"account": {("t1", "acme"): Caps()}})
    frame = pl.concat([row(DAY_MS, nanos=1, calls=1), row(DAY_MS + t_ms, nanos=1, calls=1)])
    found = DETECTOR.update(DETECTOR.new_state(), frame, None, limits)
    assert found["cap_account"].to_list()[1] == [hour, day, 0, second]


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("account", {"country": "LV"}, ("acme", "", "", "", [])),
        ("account", {"account": "", "ingress_trunk": "in"}, ("", "in", "", "", [])),
        ("destination", {"country": "LV"}, ("acme", "", "LV", "Latvia", [])),
        ("destination", {"country": "001"}, ("acme", "", "", "", [])),  # a code of no country
        ("destination", {"country": ""}, ("acme", "", "", "", [])),
        ("unpriced", {}, ("acme", "", "", "", ["1#2"])),
    ],
)
def test_the_facts_of_a_cap(kind, changes, expected):
    hit = Hit(0, "cap_money_hour", kind, 1.5, cap="money_hour", value=6, limit=4)
    facts = DETECTOR.facts(Case(hit, row(DAY_MS, a_number="4366", **changes).row(0, named=True), {}, "EUR", ["1#2"]), None)
    assert (facts.account, facts.trunk, facts.country, facts.country_name, facts.dialled) == expected
    assert (facts.subject_kind, facts.cap, facts.value, facts.limit, facts.currency, facts.a_number) == (kind, "money_hour", 6, 4, "EUR", "4366")
