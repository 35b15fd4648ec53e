"""The back-test: two policies over the same calls, and what a verdict says of the calls that they would have refused."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from core.orders import Key
from core.policy import Policy
from core.record import Record, journal_key
from flows import backtest
from flows.backtest import Line, Verdict, run
from flows.replay import self_registering

NOON = 1_764_072_000_000  # 2025-11-25 12:00:00 UTC
MINUTE, HOUR = 60_000, 3_600_000


def call(account: str, number: str, answered_ms: int, seconds: int, amount: str) -> list[Line]:
    """The answer and the end of one call."""
    base = {"v": 2, "switch": "k1", "account": account, "ingress_trunk": "in", "a_raw": "43123456", "b_raw": number, "dialog_id": f"d{answered_ms}"}
    base |= {"call_id": f"c{answered_ms}{account}", "setup_ms": answered_ms - 5_000, "answer_ms": answered_ms}
    found = []
    for event, at_ms in (("answer", answered_ms), ("stop", answered_ms + 1000 * seconds)):
        money = {"sell_amount": amount, "currency": "EUR", "end_ms": at_ms} if event == "stop" else {}
        record = msgspec.convert({**base, **money, "event": event, "at_ms": at_ms}, Record)
        found.append(Line(at_ms, journal_key("t1", account, "in"), msgspec.json.encode(record), "k1", at_ms))
    return found


@pytest.fixture(scope="module")
def history() -> list[Line]:
    """Two days of an account's ordinary calls; then one caller pumps a premium range for half an hour."""
    lines = [line for n in range(96) for line in call("acme", f"4366412345{n % 7}", NOON - (100 - n) * HOUR // 2, 60, "0.05")]
    lines += [line for n in range(40) for line in call("acme", f"8821312{n:04}", NOON + n * 45_000, 240, "12.00")]
    return sorted(lines, key=lambda line: line.learned_ms)


def test_both_policies_judge_the_same_calls(history):
    result = run(history, self_registering(None), {"t1": Policy(off=("irsf_block",))}, NOON - HOUR, NOON + 2 * HOUR)
    assert result.before["irsf_block"].alerts == 1 and "irsf_block" not in result.after
    assert sum(one.calls for one in result.after.values()) > 10  # others order the same block
    found = result.before["irsf_block"]
    assert found.calls > 10 and found.saved_nanos["EUR"] == found.calls * 12 * 10**9
    assert found.during_alert + found.after_alert == found.calls


def test_without_a_change_there_is_one_side(history):
    result = run(history, self_registering(None), {}, NOON - HOUR, NOON + 2 * HOUR)
    assert result.after is result.before


def test_what_came_before_the_period_is_not_counted(history):
    assert run(history, self_registering(None), {}, NOON + 2 * HOUR, NOON + 3 * HOUR).before == {}


@pytest.mark.parametrize(("verdict", "right", "wrong", "fraud", "saved"), [("fraud", 1, 0, True, True), ("not fraud", 0, 1, False, False)])
def test_a_verdict_says_what_the_refused_calls_were(history, verdict, right, wrong, fraud, saved):
    key = Key(tenant="t1", account="acme", b_range="8821")
    said = Verdict("t1", "somebody else", key, NOON, NOON + HOUR, verdict)
    by_key = run(history, self_registering(None), {}, NOON - HOUR, NOON + 2 * HOUR, [said]).before["irsf_block"]
    assert (by_key.fraud if fraud else by_key.good) == by_key.calls > 0
    assert bool(by_key.saved_nanos) == saved
    plain = run(history, self_registering(None), {}, NOON - HOUR, NOON + 2 * HOUR, [said._replace(subject="acme>8821")]).before["irsf_block"]
    assert (plain.right, plain.wrong) == (right, wrong)


def test_stored_records_are_the_lines_that_judge_read(history):
    facts = [msgspec.json.decode(line.value) | {"tenant": "t1", "learned_ms": line.learned_ms} for line in history[:4]]
    again = list(backtest.of_history([pl.from_dicts(facts, infer_schema_length=None)]))
    assert [msgspec.json.decode(line.value, type=Record) for line in again] == [
        msgspec.structs.replace(msgspec.json.decode(line.value, type=Record), tenant="t1") for line in history[:4]
    ]
    assert [line.key for line in again] == [line.key for line in history[:4]]
