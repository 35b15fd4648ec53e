"""A log of finished calls, judged one by one."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from core.config import Account, Config, Trunk
from core.decode import Message
from core.record import TICK_KEY, Record, Tick, journal_key
from core.schemas import USAGE
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
