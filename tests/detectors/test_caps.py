"""Lines that an operator drew for an account and for its destinations."""

from __future__ import annotations

import polars as pl
import pytest

from core.config import Caps
from core.record import Record, journal_key
from detectors.caps import DETECTOR
from detectors.features import FEATURES
from detectors.protocol import Limits

COUNTED = {
    "hour": "int64", "hour_nanos": "int64", "day": "int64", "day_nanos": "int64", "second": "int64", "second_calls": "int64", "flying": "int64",
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
def test_a_cap_is_a_line_that_the_operator_drew(day_of, caps, detector, words, ordered):
    day = day_of(account={"caps": caps})
    day.calls(6, "37120123", talk_s=60)
    found = [finding for finding in day.findings if finding.detector == detector]
    assert words in found[0].reason
    assert (day.ordered() == {"t1/account:acme"}) == ordered


def test_calls_at_once_count_from_answer_to_end(day_of):
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


def test_an_hour_that_has_passed_is_over(day_of):
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


def test_an_account_with_calls_in_flight_is_never_forgotten_and_one_without_is_after_two_days():
    state = DETECTOR.new_state()
    DETECTOR.update(state, row(100 * DAY_MS + 5, flying=1), None, LIMITS)
    state["account"].forget(0, 1000 * DAY_MS)
    (hit,) = DETECTOR.findings(DETECTOR.update(state, row(1001 * DAY_MS), None, LIMITS), None, LIMITS)
    assert (hit.cap, hit.value, hit.limit, hit.score) == ("concurrent_calls", 1, 0, 1.0), "it is still in flight"
    DETECTOR.update(state, row(1001 * DAY_MS, flying=-1), None, LIMITS)
    state["account"].forget(0, 1004 * DAY_MS - 1)
    assert len(state["account"]) == 1, "a late row of that day must find what was spent in it"
    state["account"].forget(0, 1004 * DAY_MS)
    assert len(state["account"]) == 0


def test_a_late_row_counts_for_no_later_hour_or_day():
    limits = Limits(caps={"account": {("t1", "acme"): Caps(money_hour_nanos=9, money_day_nanos=14)}})
    state = DETECTOR.new_state()
    found = [
        [(hit.cap, hit.value) for hit in DETECTOR.findings(DETECTOR.update(state, row(t_ms, nanos=5), None, limits), None, limits)]
        for t_ms in (3 * DAY_MS, 3 * DAY_MS + 3_600_000, 3 * DAY_MS + 1, 2 * DAY_MS, 3 * DAY_MS + 3_600_001)
    ]
    assert found == [[], [], [("money_day", 15)], [("money_day", 15)], [("money_hour", 10), ("money_day", 20)]]
