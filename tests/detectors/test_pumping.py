"""Long calls of many accounts to few numbers, and who looks alike."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from core.policy import Policy
from core.safety import Protected
from detectors.protocol import Limits, Settings
from detectors.pumping import State, detect, forget
from detectors.sums import SUMS

T_MS = 1_790_000_000_000
DAY_MS, MINUTE_MS = 86_400_000, 60_000
RULES = Settings(lambda _: Policy(), lambda _: Protected(), lambda *_: "EUR", Limits())


def call(at_ms: int, number: str, account: str, talk_min: float = 25) -> dict:
    zero = {name: 0 if dtype.is_integer() else "" for name, dtype in SUMS.items()}
    return zero | {
        "kind": "long", "tenant": "t1", "subject": number, "account": account, "second_ms": at_ms, "ends": 1, "calls": 1,
        "talk_ms": round(talk_min * MINUTE_MS), "nanos": 10**9, "currency": "EUR", "learned_ms": at_ms, "call_id": f"{at_ms}",
    }  # fmt: skip


def lured(block: str = "43720001", numbers: int = 5, accounts: int = 20, n: int = 60, begin_ms: int = T_MS + DAY_MS) -> list[dict]:
    return [call(begin_ms + no * 4 * MINUTE_MS, f"{block}{no % numbers:02d}", f"a{no * 7 % accounts}") for no in range(n)]


def bridge() -> list[dict]:
    """Three meetings of one office, twenty callers each."""
    return [call(T_MS + DAY_MS + (meeting * 150 + no % 12) * MINUTE_MS, "4420555123456", "acme", 45) for meeting in range(3) for no in range(20)]


def found(rows: list[dict]) -> tuple[list, list]:
    state, findings, orders = State(), {}, []
    for minute, part in sorted(pl.DataFrame([call(T_MS, "4912345678901", "z"), *rows], schema=SUMS).group_by(pl.col("second_ms") // 600_000)):
        some, more = detect(state, part, RULES)
        forget(state, int(minute[0]) * 600_000)
        findings |= {one.finding_id: one for one in some}
        orders += more
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State) == state
    return list(findings.values()), orders


@pytest.mark.parametrize(
    ("what", "calls", "ordered"),
    [
        ("twenty accounts to five numbers of Austria for hours: refused for everybody", lured(), False),
        ("the same for little money: a person decides", [one | {"nanos": 10**6} for one in lured()], True),
        ("access stimulation in the USA is disputed, never blocked", lured("17124321"), None),
        ("one account that holds calls to many numbers: perhaps its branch, a person decides", lured(accounts=1, numbers=20), True),
    ],
)
def test_where_calls_are_lured(what, calls, ordered):
    findings, orders = found(calls)
    assert len(findings) == 1, what
    assert {order.key.text() for order in orders} <= {"t1/account:*/b:43720001"}
    assert (orders[-1].ask if orders else None) == ordered, what


@pytest.mark.parametrize(("blocks", "asks"), [("automatic", {False}), ("ask", {True}), ("never", set())])
def test_the_policy_says_who_decides(monkeypatch, blocks, asks):
    rules = Settings(lambda _: Policy(pumping_blocks=blocks), lambda _: Protected(), lambda *_: "EUR", Limits())
    monkeypatch.setitem(globals(), "RULES", rules)
    assert {order.ask for order in found(lured())[1][-3:]} == asks


@pytest.mark.parametrize(
    ("what", "calls"),
    [
        ("a conference bridge of one office", bridge()),
        ("a busy block of subscribers: each is called by a friend or two", lured(numbers=22, accounts=24, n=25)),
        ("a service that was called for days", [one for day in range(4) for one in lured(n=3 if day < 3 else 60, begin_ms=T_MS + day * DAY_MS)]),
        ("one long call each to sixty blocks", [call(T_MS + DAY_MS + no * MINUTE_MS, f"4372{no:03d}00101", f"a{no}") for no in range(60)]),
    ],
)
def test_who_looks_alike(what, calls):
    assert not found(calls)[0], what
