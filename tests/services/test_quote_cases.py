"""Cases in the neutral form: each is answered by one line, and what cannot be read by its error."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from services.quote_cases import KINDS, answers

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "calls.jsonl"


def expected_of(case: dict) -> Decimal:
    return Decimal(case[next(key for key in case if key.startswith("expected_"))])


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_every_vector_of_six_engines_reproduces():
    cases = [json.loads(line, parse_float=Decimal) for line in VECTORS.read_text().splitlines()]
    found = list(answers(VECTORS.read_bytes().splitlines()))
    wrong = [
        (case["id"], answer)
        for case, answer in zip(cases, found, strict=True)
        if answer["id"] != case["id"] or abs(Decimal(answer.get("result", "NaN")) - expected_of(case)) > Decimal(case.get("tolerance", 0))
    ]
    assert not wrong and len(cases) > 70 and {case["kind"] for case in cases} <= KINDS.keys()


def ask(**case) -> dict:
    (found,) = answers([json.dumps({"id": "x", **case}).encode()])
    return found


def steps(*said: tuple[int, str, int, int]) -> list[dict]:
    return [{"start_s": start, "price": price, "per_s": per, "increment_s": increment} for start, price, per, increment in said]


PER_MINUTE = {"prefix": "*any", "steps": steps((0, "0.6", 60, 1))}


@pytest.mark.parametrize(
    ("rate", "call", "case", "result"),
    [
        ({}, {"duration_s": 61}, {}, "0.61"),
        ({}, {"duration_s": 0}, {}, "0"),
        ({"connect_fee": "0.1"}, {"duration_s": 60, "first_segment": False}, {}, "0.6"),
        ({"connect_fee": "0.1"}, {"duration_s": 60, "answered": False}, {}, "0"),
        ({"attempt_fee": "0.1"}, {"duration_s": 0, "answered": False}, {}, "0.1"),
        ({"attempt_fee": "0.1"}, {"duration_s": 0, "answered": False, "last_attempt": False}, {}, "0"),
        ({"attempt_fee": "0.1", "side": "vendor"}, {"duration_s": 0, "answered": False, "last_attempt": False}, {}, "0.1"),
        ({"attempt_fee": "0.1", "side": "vendor"}, {"duration_s": 0, "answered": False, "sent_to_vendor": False}, {}, "0"),
        ({"included_seconds": 10, "connect_fee": 1}, {"duration_s": 8}, {}, "1"),
        ({"included_seconds": 10}, {"duration_s": 70}, {}, "0.6"),
        ({"grace_s": 3, "min_time_s": 0, "connect_fee": 1}, {"duration_s": 3}, {}, "0"),
        ({"grace_s": 3}, {"duration_s": 4}, {}, "0.04"),
        ({"grace_s": 3, "min_time_s": 20}, {"duration_s": 1}, {}, "0.2"),
        ({"max_cost": "0.5", "max_cost_mode": "*free"}, {"duration_s": 600}, {}, "0.5"),
        ({"max_cost": "0.5", "max_cost_mode": "*disconnect"}, {"duration_s": 600}, {}, "6"),
        ({"surcharge": {"at_s": 60, "amount": 1}}, {"duration_s": 60}, {}, "0.6"),
        ({"surcharge": {"at_s": 60, "amount": 1}}, {"duration_s": 61}, {}, "1.61"),
        ({"vat_percent": 20}, {"duration_s": 60}, {}, "0.72"),
        ({"vat_percent": "7.7"}, {"duration_s": 1}, {"rounding": {"mode": "up", "decimals": 3}}, "0.011"),
        ({"currency_rate": "6", "connect_fee": "0.1"}, {"duration_s": 60}, {"account_currency_rate": "2"}, "2.1"),
        ({"steps": steps((0, "1", 7, 1))}, {"duration_s": 1}, {}, "0.142857143"),
        ({"steps": steps((0, "1", 7, 1))}, {"duration_s": 1}, {"rounding": {"mode": "up", "decimals": 12}}, "0.142857142858"),
        ({"steps": steps((0, "1", 8, 1))}, {"duration_s": 1}, {"rounding": {"mode": "half_even", "decimals": 2}}, "0.12"),
    ],
)
def test_a_price(rate, call, case, result):
    assert ask(kind="price", rates=[PER_MINUTE | rate], call={"dst": "431234", **call}, **case).get("result") == result


DISCONNECTS = {"max_cost": "0.3", "max_cost_mode": "disconnect"}
FROM_SIX = {"weekdays": None, "months": None, "month_days": None, "start": "18:00:00"}
EVENING = {"prefix": "43", "steps": steps((0, "0.3", 60, 60)), "window": FROM_SIX}


@pytest.mark.parametrize(("boundary", "result"), [("call_start", "1.2"), ("increment_start", "0.9"), ("split", "0.75")])
def test_a_change_within_the_call(boundary, result):
    noon = EVENING | {"steps": steps((0, "0.6", 60, 60)), "window": None}
    call = {"dst": "+431234", "answer_time": "2026-11-27T17:59:30Z", "duration_s": 90}
    assert ask(kind="price", rates=[noon, EVENING], call=call, boundary=boundary)["result"] == result


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ({"kind": "guess"}, "kind 'guess' is none of price"),
        ({"kind": "price"}, "rates is missing"),
        ({"kind": "price", "rates": []}, "rates is empty"),
        ({"kind": "price", "rates": [{"prefix": "43"}]}, "steps is missing"),
        ({"kind": "price", "rates": [{"prefix": "4x", "steps": steps((0, "1", 1, 1))}]}, "prefix '4x' is not digits"),
        ({"kind": "price", "rates": [PER_MINUTE | {"prefix": "44"}], "call": {"dst": "43"}}, "no rate fits the call"),
        ({"kind": "price", "rates": [PER_MINUTE], "call": {"dst": "43", "duration_s": -1}}, "it must be >= 0"),
        ({"kind": "price", "rates": [PER_MINUTE], "call": {"dst": "43", "duration_s": "a minute"}}, "it must be a number"),
        ({"kind": "price", "rates": [PER_MINUTE], "rounding": {"mode": "sideways"}}, "rounding mode 'sideways' is none of"),
        ({"kind": "price", "rates": [PER_MINUTE], "boundary": "never"}, "boundary 'never' is none of"),
        ({"kind": "price", "rates": [{"steps": steps((0, "0.0000000001", 1, 1))}]}, "more than 9 decimals"),
        ({"kind": "price", "rates": [{"steps": steps((0, "-1", 1, 1))}]}, "its price is negative"),
        ({"kind": "price", "rates": [{"steps": steps((0, "1", 0, 1))}]}, "must be 1 to"),
        ({"kind": "max_duration", "rates": [PER_MINUTE], "call": {"dst": "43"}}, "balance is missing"),
        ({"kind": "volume", "tiers": [{"to": None, "unit": True}], "units": 1}, "it must be a number"),
    ],
)
def test_what_cannot_be_priced_has_its_error(case, error):
    found = ask(**case)
    assert found["id"] == "x" and error in found["error"] and found["error"].startswith("line 1: ")


@pytest.mark.parametrize("line", [b"{", b"[]", b"1", b"nonsense", b'{"id":"x"' + b"[" * 5000])
def test_a_line_that_is_no_case_is_answered_and_the_next_one_is_priced(line):
    good = json.dumps({"id": "good", "kind": "cost_rounding", "amount": "1.005", "rounding": {"mode": "up", "decimals": 2}}).encode()
    first, second = answers([line, b"", good])
    assert first["error"] and second == {"id": "good", "kind": "cost_rounding", "result": "1.01", "explain": {"rounding": "up", "decimals": 2}}


@pytest.mark.parametrize(
    ("case", "result"),
    [
        ({"kind": "max_duration", "rates": [PER_MINUTE | {"connect_fee": "0.1"}], "call": {"dst": "43"}, "balance": "0.7"}, "60"),
        ({"kind": "max_duration", "rates": [PER_MINUTE], "call": {"dst": "43"}, "balance": "1", "min_balance": "0.4"}, "60"),
        ({"kind": "max_duration", "rates": [PER_MINUTE | DISCONNECTS], "call": {"dst": "43"}, "balance": 9}, "30"),
        ({"kind": "max_duration", "rates": [PER_MINUTE], "call": {"dst": "43"}, "balance": "-1"}, "0"),
        ({"kind": "authorize_increment", "balance": "0.125", "price_per_increment": "0.06", "increment_s": 30}, "60"),
        ({"kind": "reservation", "balance": 10, "price_per_min": "0.6", "quota_s": 60, "talk_s": 90}, "9.1"),
        ({"kind": "duration_rounding", "duration_s": "60.5", "rounding": {"mode": "down", "decimals": 0}}, "60"),
        ({"kind": "profit_floor", "sell": "0.01", "min_profit": "0.002", "offers": ["0.008", "0.0081"]}, "1"),
        ({"kind": "failover_price_cap", "first_price": "0.1", "next_price": "0.121", "max_increase_percent": 20}, "0"),
        ({"kind": "graduated", "units": "10.5", "tiers": [{"from_": 0, "to": 10, "unit": 1, "flat": 2}, {"from_": 11, "to": None, "unit": 2}]}, "13"),
    ],
)
def test_other_kinds(case, result):
    assert ask(**case).get("result") == result
