"""Calls back to foreign numbers that rang briefly."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from core.policy import Policy
from core.safety import Protected
from detectors.callbacks import DETECTOR, LEAST_CALLBACKS, State, detect, forget
from detectors.protocol import Limits, Settings
from detectors.sums import SUMS

T_MS = 1_790_000_000_000
RULES = Settings(lambda _: Policy(), lambda _: Protected(), lambda *_: "EUR", Limits())


def cut(*rows: dict) -> pl.DataFrame:
    zero = {name: 0 if dtype.is_integer() else "" for name, dtype in SUMS.items()}
    zero |= {"tenant": "t1", "second_ms": T_MS, "learned_ms": T_MS, "currency": "EUR", "call_id": "c"}
    return pl.DataFrame([zero | row for row in rows], schema=SUMS)


BLOCK = "22177042"


def back(calls: int, account: str = "acme", at_ms: int = T_MS + 60_000) -> dict:
    return {"kind": "abroad", "subject": BLOCK, "account": account, "second_ms": at_ms, "calls": calls, "nanos": calls * 10**9}


@pytest.mark.parametrize(
    ("what", "rings", "ends", "callbacks", "found"),
    [
        ("a block that rang sixty numbers", 60, 60, 3, True),
        ("too few calls back", 60, 60, 2, False),
        ("too few were rung", 20, 20, 9, False),
        ("most calls from it are ordinary ones", 60, 200, 9, False),
    ],
)
def test_which_calls_are_calls_back(what, rings, ends, callbacks, found):
    assert LEAST_CALLBACKS == 3
    findings, orders = detect(State(), cut({"kind": "rung", "subject": BLOCK, "rings": rings, "ends": ends}, back(callbacks)), RULES)
    assert bool(findings) == found == bool(orders), what


def test_each_account_that_calls_abroad_is_kept_from_the_block():
    state = State()
    detect(state, cut({"kind": "abroad", "subject": "4479111", "account": "blue", "calls": 5}), RULES)
    findings, orders = detect(state, cut({"kind": "rung", "subject": BLOCK, "rings": 60, "ends": 60}, back(4)), RULES)
    assert {order.key.text() for order in orders} == {f"t1/account:{account}/b:{BLOCK}" for account in ("acme", "blue")}
    assert "60 numbers were rung briefly from +221 77042…" in findings[0].reason and "refuse new calls of 2 accounts" in findings[0].reason
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State) == state


def test_a_block_is_forgotten_after_three_days():
    state = State()
    detect(state, cut({"kind": "rung", "subject": BLOCK, "rings": 60, "ends": 60}), RULES)
    assert not detect(state, cut(back(9, at_ms=T_MS + 4 * 86_400_000)), RULES)[0]
    forget(state, T_MS + 15 * 86_400_000)
    assert state == DETECTOR.state()
