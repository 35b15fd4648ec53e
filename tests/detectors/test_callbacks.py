"""Calls back to foreign numbers that rang briefly."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from core.orders import EVERYONE
from core.policy import Policy
from core.safety import Protected
from detectors.callbacks import DETECTOR, State, detect, forget
from detectors.protocol import Limits, Settings
from detectors.sums import SUMS

T_MS = 1_790_000_000_000
RULES = Settings(lambda _: Policy(), lambda _: Protected(numbers=("22177999",)), lambda *_: "EUR", Limits())
BLOCK = "22177042"


def cut(*rows: dict) -> pl.DataFrame:
    zero = {name: 0 if dtype.is_integer() else "" for name, dtype in SUMS.items()}
    zero |= {"tenant": "t1", "second_ms": T_MS, "learned_ms": T_MS, "currency": "EUR", "call_id": "c"}
    return pl.DataFrame([zero | row for row in rows], schema=SUMS)


def rung(rings: int, numbers: int = 3, ends: int = 1, block: str = BLOCK, tenant: str = "carrier") -> list[dict]:
    """So many calls given up, from so many numbers of a block, in turn; each stands for `ends` calls."""
    return [{"kind": "rung", "tenant": tenant, "subject": f"{block}{no % numbers:04d}", "rings": 1, "ends": ends} for no in range(rings)]


def back(calls: int, account: str = "acme", at_ms: int = T_MS + 60_000, block: str = BLOCK) -> dict:
    return {"kind": "abroad", "subject": f"{block}0001", "account": account, "second_ms": at_ms, "calls": calls, "nanos": calls * 10**9}


@pytest.mark.parametrize(
    ("what", "rows", "refused"),
    [
        ("few numbers that ring again and again, over another tenant: the first call proves that people call back", [*rung(60), back(1)], BLOCK),
        ("forty numbers, of which twenty rang again: no pool of codes repeats itself so soon", [*rung(60, 40), back(1)], BLOCK),
        ("too few were rung", [*rung(20), back(9)], ""),
        ("most calls from the block are ordinary ones", [*rung(60, ends=4), back(9)], ""),
        ("a number for each call: flash calls, which hardly anybody calls back", [*rung(60, 60), back(4), back(0, "blue"), back(0, "cyan")], ""),
        ("and which several accounts do", [*rung(60, 60), back(4), back(0, "blue"), back(1, "cyan")], BLOCK),
        ("a block that was called before it rang: its numbers alone", [back(1, at_ms=T_MS - 9000), *rung(60), back(1)], f"{BLOCK}0000"),
        ("numbers of ten digits: a block of all accounts has seven", [*rung(60, block="960765"), back(1, block="960765")], "9607650"),
        ("a range around a protected number", [*rung(60, block="22177999"), back(9, block="22177999")], ""),
    ],
)
def test_where_calls_back_are_refused(what, rows, refused):
    findings, orders = detect(State(), cut(*rows), RULES)
    assert ([order.key.b_range for order in orders][:1] or [""]) == [refused], what
    assert {order.key.account for order in orders} <= {EVERYONE} and {order.key.tenant for order in orders} <= {"t1"}
    ends = ("of every account to +221 77042….", "every account to +960 765….", "protected number 22177999.")
    assert not findings or findings[0].reason.endswith(ends)


def test_the_alert_says_who_was_rung_and_what_came_back():
    state = State()
    findings, _ = detect(state, cut(*rung(60), back(2)), RULES)
    assert "60 calls from +221 77042… (Senegal, mobile) were given up within seconds; 2 calls back so far, 2.00 EUR" in findings[0].reason
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State) == state
    again, _ = detect(state, cut(back(1, at_ms=T_MS + 9 * 3_600_000)), RULES)
    assert [one.finding_id for one in again] == [findings[0].finding_id], "calls back of a day are one alert"


def test_a_block_is_forgotten_after_three_days():
    state = State()
    detect(state, cut(*rung(60)), RULES)
    assert not detect(state, cut(back(9, at_ms=T_MS + 4 * 86_400_000)), RULES)[0]
    forget(state, T_MS + 15 * 86_400_000)
    assert state == DETECTOR.state()


def test_ordinary_calls_from_a_block_before_it_began_to_ring_are_no_ringing():
    """A tenant that called the block in between was there before the fraud: only the numbers that ring are refused."""
    ordinary = {"kind": "rung", "tenant": "carrier", "subject": f"{BLOCK}0009", "ends": 1, "second_ms": T_MS - 90_000}
    _, orders = detect(State(), cut(ordinary, back(1, at_ms=T_MS - 60_000), *rung(60), back(1)), RULES)
    assert {order.key.b_range for order in orders} == {f"{BLOCK}{no:04d}" for no in range(3)}


def test_calls_back_of_an_earlier_ringing_prove_nothing_of_the_next():
    state, day_ms = State(), 86_400_000
    flash = rung(60, 60)
    found, _ = detect(state, cut(*flash, back(4), back(0, "blue")), RULES)
    forget(state, T_MS + 4 * day_ms)
    later = [one | {"second_ms": T_MS + 5 * day_ms} for one in flash]
    again, _ = detect(state, cut(*later, back(1, "cyan", at_ms=T_MS + 5 * day_ms + 1)), RULES)
    assert not found and not again, "five calls of three accounts, but of two campaigns"


def test_money_of_two_currencies_is_no_sum():
    rupiah = back(1, "blue") | {"currency": "IDR", "nanos": 20_000 * 10**9}
    findings, _ = detect(State(), cut(*rung(60), back(1), back(1, "cyan"), rupiah), RULES)
    assert [(one.calls, one.currency, one.exposure_nanos) for one in findings[-1:]] == [(1, "EUR", 10**9)]
    state = State()
    detect(state, cut(*rung(60), back(1), back(1, "cyan"), rupiah), RULES)
    assert state.back["t1"][BLOCK].money == {"EUR": [2 * 10**9, 2], "IDR": [20_000 * 10**9, 1]}


def test_a_tenant_whose_callers_are_many_pushes_out_no_other_s_blocks(monkeypatch):
    monkeypatch.setattr("detectors.callbacks.MOST_RANGES", 5)
    state = State()
    flood = [{"kind": "rung", "tenant": "noisy", "subject": f"49{no:06d}0001", "ends": 1, "second_ms": T_MS + no} for no in range(50)]
    detect(state, cut(*rung(60), *flood), RULES)
    assert {tenant: len(blocks) for tenant, blocks in state.rung.items()} == {"carrier": 1, "noisy": 5}
    assert detect(state, cut(back(1)), RULES)[1], "the ringing is still known"
