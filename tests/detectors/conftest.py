"""A log of finished calls, judged one by one."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from core.config import Account, Config, Trunk
from core.decode import Message
from core.policy import Policy
from core.record import TICK_KEY, Record, Tick, journal_key
from core.schemas import USAGE
from detectors.engine import prepared
from detectors.features import features
from detectors.protocol import Limits
from detectors.registry import parameters_of
from detectors.state import DetectorState
from flows.step import State, judge
from rating.contracts import compile_contracts
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


@pytest.fixture
def day_of():
    """Makes a day under contracts with these changes; `account`: changes of acme's."""

    def made(currency: str = "EUR", account: dict | None = None, **changes) -> Day:
        if account:
            changes["accounts"] = (Account(tenant="t1", name="acme", sell_deck="basic", **account),)
        return Day(contracts(currency, **changes))

    return made


@pytest.fixture
def usage_of():
    """Makes a frame of USAGE from the columns that matter of each row; the others are 0, "" or false."""
    blank = {name: 0 if dtype.is_integer() else False if dtype == pl.Boolean else "" for name, dtype in USAGE.items()}
    return lambda *rows: pl.DataFrame([{**blank, **row} for row in rows], schema=USAGE)


DAY_S = 86_400
START_S = NOW_MS // 1000 // DAY_S * DAY_S


def a_call(
    at_s: float, b_number: str, talk_s: float = 120, money: float = 0.05, *, a_number: str = "437201234567", rings_s: float = 10, **more
) -> dict:
    """A call as one row, `at_s` after the first midnight; no talk = not answered."""
    setup_ms = round((START_S + at_s) * 1000)
    answer_ms = setup_ms + round(rings_s * 1000)
    end_ms = answer_ms + round(talk_s * 1000)
    return {
        "tenant": "t1", "account": "acme", "t_ms": end_ms, "learned_ms": end_ms, "started_ms": setup_ms, "call_id": f"c{at_s}",
        "call_key": f"k{at_s}{b_number}", "a_number": a_number, "a_kind": "e164", "b_number": b_number,
        "b_kind": "e164", "answered": talk_s > 0, "final": True,
        "calls": 1, "nanos": round(money * 1e9) if talk_s > 0 else 0, "currency": "EUR", "talk_ms": round(talk_s * 1000),
        "duration_ms": round(talk_s * 1000),
        "answer_ms": answer_ms if talk_s > 0 else 0,
    } | more  # fmt: skip


def ordinary(days: int, per_day: int = 40, **more) -> list[dict]:
    """Days of an office: calls at work to a few hundred numbers of its country, six in ten answered."""
    return [
        a_call(day * DAY_S + 28_800 + no * 36_000 / per_day, f"43{1 + no % 3}5{(no * 7919 + day) % 400:03d}1234", 120 if no % 5 < 3 else 0, **more)
        for day in range(days) for no in range(per_day)
    ]  # fmt: skip


@pytest.fixture
def found_by(usage_of):
    """(detector, calls) -> its hits in them, in the order in which the calls end; the frame is the second value."""

    def found(detector, calls: list[dict], **parameters):
        rows = [call | {"offset": at} for at, call in enumerate(sorted(calls, key=lambda one: one["t_ms"]))]
        state, policy = DetectorState(b"s"), Policy(detectors={detector.name: parameters})
        frame = prepared(state.subjects, features(usage_of(*rows), {}, set(), b"s"), policy, b"s", {0: START_S * 1000})
        given = parameters_of(detector, policy)
        frame = detector.update(state.subjects[detector.name], frame, given, Limits())
        return detector.findings(frame, given, Limits()), frame

    return found


@pytest.fixture
def office():
    """`ordinary` calls."""
    return ordinary


@pytest.fixture
def call():
    """`a_call`."""
    return a_call
