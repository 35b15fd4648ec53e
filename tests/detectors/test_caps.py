"""Lines that an operator drew for an account and for its destinations."""

from __future__ import annotations

import pytest

from core.config import Caps
from core.record import Record, journal_key

COUNTED = {
    "hour": "int64", "hour_nanos": "int64", "day": "int64", "day_nanos": "int64", "second": "int64", "second_calls": "int64", "flying": "int64",
}  # fmt: skip
STORED = {"account": COUNTED, "destination": COUNTED}


@pytest.mark.parametrize(
    ("caps", "detector", "words", "ordered"),
    [
        (Caps(money_hour_nanos=10**10), "cap_money_hour", "acme has spent 10.02 EUR this hour; its cap is 10.00 EUR.", True),
        (Caps(money_day_nanos=10**10), "cap_money_day", "acme has spent 10.02 EUR today (UTC); its cap is 10.00 EUR.", True),
        (Caps(calls_per_second=0), "cap_calls_per_second", "acme has begun 1 call in one second; its cap is 0.", True),
    ],
)
def test_a_cap_is_a_line_that_the_operator_drew(day_of, caps, detector, words, ordered):
    day = day_of(account={"caps": caps})
    day.calls(501, "4312", talk_s=60)
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
