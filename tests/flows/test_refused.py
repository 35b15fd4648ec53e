"""Which calls of a replay the orders of a detector would have refused."""

from __future__ import annotations

from functools import partial

import polars as pl
import pytest

from core.numbers import DialPlan
from core.orders import BlockOrder, Key
from flows.refused import Refused, Tally

CALL = {
    "tenant": "t1", "account": "acme", "ingress_trunk": "tg7", "setup_ms": 2_000, "answer_ms": None, "a_number": "4366",
    "b_number": "8821312345", "b_kind": "e164", "sell_nanos": 7, "sell_currency": "EUR",
}  # fmt: skip
EMPTY = Tally(lambda tenant, trunk: DialPlan(country_code="43"))


def order(key: Key, finding_id: str = "f", **changed: object) -> BlockOrder:
    usual = partial(BlockOrder, order_id="o", key=key, action="refuse", created_at_ms=1_000, learned_ms=1_000, expires_at_ms=5_000, reason="r")
    return usual(finding_id=finding_id, **changed)


def refused(orders: list[BlockOrder], *calls: dict[str, object]) -> list[tuple[str, int]]:
    """Of calls that differ from `CALL`: the finding that refuses each, with its setup."""
    tally = Tally(EMPTY.plan_of)
    tally.order(orders, {})
    return [(one.finding_id, one.began_ms) for one in tally.would_refuse(pl.DataFrame([CALL | call for call in calls]))]


@pytest.mark.parametrize(
    ("setup_ms", "a_number", "b_number", "account", "is_refused"),
    [
        (1_000, "4366", "8821312345", "acme", True),
        (999, "4366", "8821312345", "acme", False),  # it was under way
        (5_000, "4366", "8821312345", "acme", False),  # the order has expired
        (2_000, "4367", "8821312345", "acme", False),
        (2_000, "4366", "4312345678", "acme", False),
        (2_000, "4366", "8821312345", "blue", False),
    ],
)
def test_an_order_refuses_the_calls_of_its_key_that_begin_while_it_is_in_force(setup_ms, a_number, b_number, account, is_refused):
    tally = Tally(EMPTY.plan_of)
    tally.order([order(Key(tenant="t1", account="acme", a_number="4366", b_range="88213"))], {"f": "burst"})
    tally.count(pl.DataFrame([CALL | {"account": account, "setup_ms": setup_ms, "a_number": a_number, "b_number": b_number}]))
    assert tally.of == ({"burst": Refused(calls=1, nanos={"EUR": 7})} if is_refused else {})


@pytest.mark.parametrize("changed", [{"ask": True}, {"action": "shadow"}])
def test_an_order_that_waits_for_a_person_or_only_marks_calls_refuses_nothing(changed):
    assert refused([order(Key(tenant="t1", account="acme"), **changed)], {}) == []


def test_a_throttle_lets_the_first_calls_of_each_minute_pass():
    throttle = order(Key(tenant="t1", account="acme"), action="throttle", calls_a_minute=2, expires_at_ms=200_000)
    begun = [{"setup_ms": at_ms} for at_ms in (59_000, 60_000, 61_000, 62_000, 63_000, 120_000)]
    assert refused([throttle], *begun) == [("f", 62_000), ("f", 63_000)]


def test_an_order_for_calls_abroad_refuses_those_that_leave_the_country_of_the_dial_plan():
    calls = [{"b_number": "4312345678", "setup_ms": 2_000}, {"setup_ms": 3_000}, {"b_number": "133", "b_kind": "short"}]
    assert refused([order(Key(tenant="t1", account="acme"), action="refuse_abroad")], *calls) == [("f", 3_000)]


@pytest.mark.parametrize(
    ("orders", "finding"),
    [
        ([order(Key(tenant="t1", account="acme"), "first"), order(Key(tenant="t1", account="acme", b_range="88"))], "first"),
        ([order(Key(tenant="t1", account="*", b_range="8821312"), "everyone")], "everyone"),
        ([order(Key(tenant="t1", ingress_trunk="tg7"), "trunk")], "trunk"),
        # The strongest action of a key is what its switch holds; where it lets the call pass, the next key is looked at.
        ([order(Key(tenant="t1", account="acme"), action="throttle", calls_a_minute=1), order(Key(tenant="t1", account="acme"), "strong")], "strong"),
        (
            [
                order(Key(tenant="t1", account="acme", b_range="88"), action="throttle", calls_a_minute=1),
                order(Key(tenant="t1", account="acme"), "shorter"),
            ],
            "shorter",
        ),
    ],
)  # fmt: skip
def test_of_several_orders_that_refuse_a_call_the_first_one_counts(orders, finding):
    assert refused(orders, {}) == [(finding, 2_000)]
