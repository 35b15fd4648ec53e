"""A carrier whose answers are false, and one whose answers only look so."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from core.policy import Policy
from core.safety import Protected
from detectors.fas import State, detect, forget
from detectors.protocol import Limits, Settings
from detectors.sums import SUMS

T_MS = 1_790_000_000_000
RULES = Settings(lambda _: Policy(), lambda _: Protected(), lambda *_: "EUR", Limits())


def cut(*rows: dict) -> pl.DataFrame:
    zero = {name: 0 if dtype.is_integer() else "" for name, dtype in SUMS.items()}
    zero |= {"tenant": "t1", "second_ms": T_MS, "learned_ms": T_MS, "currency": "EUR", "call_id": "c"}
    return pl.DataFrame([zero | row for row in rows], schema=SUMS)


HONEST = {"kind": "route", "subject": "2348\x1fbeta", "ends": 400, "answers": 180, "shorts": 12, "delay_ms": 180 * 14_000, "talk_ms": 180 * 120_000}


@pytest.mark.parametrize(
    ("what", "ends", "answers", "shorts", "delay_s", "found"),
    [
        ("nearly all answered, after a second", 300, 285, 20, 1, True),
        ("as many, as late as the others: other callers", 300, 285, 20, 14, False),
        ("as the others", 300, 140, 10, 13, False),
        ("too few calls for a claim", 60, 58, 4, 1, False),
    ],
)
def test_which_answers_are_false(what, ends, answers, shorts, delay_s, found):
    route = {"kind": "route", "subject": "2348\x1falpha", "ends": ends, "answers": answers, "shorts": shorts, "delay_ms": answers * delay_s * 1000}
    state = State()
    findings, orders = detect(state, cut(HONEST, route), RULES)
    assert [finding.subject for finding in findings] == (["alpha>2348"] if found else []), what
    assert orders == [], "it only warns"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State) == state
    forget(state, T_MS + 9 * 86_400_000)
    assert state == State()
