"""Which calls of a replay the orders of a detector would have refused."""

from __future__ import annotations

import polars as pl
import pytest

from core.orders import BlockOrder, Key
from flows.refused import Refused, Tally


def order(key: Key, *, ask: bool = False) -> BlockOrder:
    return BlockOrder(
        order_id="o", key=key, action="refuse", created_at_ms=1_000, learned_ms=1_000, expires_at_ms=5_000, finding_id="f", reason="r", ask=ask
    )


@pytest.mark.parametrize(
    ("setup_ms", "a_number", "b_number", "account", "refused"),
    [
        (1_000, "4366", "8821312345", "acme", True),
        (999, "4366", "8821312345", "acme", False),  # it was under way
        (5_000, "4366", "8821312345", "acme", False),  # the order has expired
        (2_000, "4367", "8821312345", "acme", False),
        (2_000, "4366", "4312345678", "acme", False),
        (2_000, "4366", "8821312345", "blue", False),
    ],
)
def test_an_order_refuses_the_calls_of_its_key_that_begin_while_it_is_in_force(setup_ms, a_number, b_number, account, refused):
    tally = Tally()
    tally.order([order(Key(tenant="t1", account="acme", a_number="4366", b_range="88213"))], {"f": "burst"})
    call = {"tenant": "t1", "account": account, "setup_ms": setup_ms, "answer_ms": None, "a_number": a_number, "b_number": b_number}
    tally.count(pl.DataFrame([call | {"sell_nanos": 7, "sell_currency": "EUR"}]))
    assert tally.of == ({"burst": Refused(calls=1, nanos={"EUR": 7})} if refused else {})


def test_an_order_that_waits_for_a_person_refuses_nothing():
    tally = Tally()
    tally.order([order(Key(tenant="t1", account="acme"), ask=True)], {"f": "burst"})
    assert not tally.orders
