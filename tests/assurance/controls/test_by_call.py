"""What controls ask of calls and their money: each case is one call with its charges."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from assurance.controls.by_call import GROUPS, grouped, merged, pairs, twins, with_money
from core import schemas

SELL, BUY = ("sell", 0), ("buy", 1)


def calls(*rows: dict[str, Any]) -> pl.DataFrame:
    given = [{"offset": place, "partition": 0, "account": "acme", "switch": "k1", "ingress_trunk": "sbc", "carrier": "alpha", "a_number": "4315",
        "b_number": "4366", "answer_ms": 1_000, "end_ms": 61_000, "duration_ms": 60_000, "learned_ms": 61_200, "suspected_hung": False, **row}
        for place, row in enumerate(rows)]  # fmt: skip
    return pl.DataFrame(given, schema_overrides={name: schemas.CALLS[name] for name in given[0]})


def charge(side: tuple[str, int], nanos: int, offset: int = 0, **more: Any) -> dict[str, Any]:
    role, attempt_no = side
    return {"offset": offset, "role": role, "level": 0, "attempt_no": attempt_no, "carrier": "alpha" if role == "buy" else "", "nanos": nanos,
        "currency": "EUR", "charged_s": 60, "per_min_nanos": nanos, "deck": "d", "destination": "Austria", "start_ms": 1_000, **more}  # fmt: skip


CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], set[str]]] = {
    # what is the matter            call        charges                                                             groups that have it
    "nothing": ({}, [charge(SELL, 9), charge(BUY, 5)], set()),
    "not sold": ({}, [charge(BUY, 5)], {"unsold"}),
    "not answered, not sold": ({"answer_ms": None}, [charge(BUY, 1, start_ms=None)], set()),
    "sold at nothing": ({}, [charge(SELL, 0), charge(BUY, 5)], {"zero_rated"}),
    "not bought": ({}, [charge(SELL, 9)], {"one_sided"}),
    "bought without a price": ({}, [charge(SELL, 9), charge(BUY, 0, deck="")], {"one_sided"}),
    "bought for nothing by a price list": ({}, [charge(SELL, 9), charge(BUY, 0)], set()),
    "kept on our own network": ({"carrier": ""}, [charge(SELL, 9)], set()),
    "sold below its cost": ({}, [charge(SELL, 9), charge(BUY, 12)], {"losses"}),
    "sold below its cost by a failed attempt": ({}, [charge(SELL, 9), charge(BUY, 5), charge(("buy", 2), 6, start_ms=None)], {"losses"}),
    "dearer in another currency": ({}, [charge(SELL, 9), charge(BUY, 12, currency="USD")], set()),
    "dearer in several currencies": ({}, [charge(SELL, 9), charge(BUY, 12), charge(("buy", 2), 1, currency="USD")], set()),
    "learned of after an hour": ({"learned_ms": 61_000 + 3_600_001}, [charge(SELL, 9), charge(BUY, 5)], {"late"}),
    "hung": ({"suspected_hung": True}, [charge(SELL, 9), charge(BUY, 5)], {"hung"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_call_is_in_the_groups_of_what_is_the_matter_with_it(name: str):
    call, charges, expected = CASES[name]
    priced = with_money(calls(call), pl.DataFrame(charges))
    found = {group for group in GROUPS if grouped(group, priced).height}
    assert found - {"trunks", "rates", "carriers"} == expected


def test_slices_add_up_to_the_whole():
    some = with_money(calls({}, {}, {"account": "other"}), pl.DataFrame([charge(SELL, 9, at) for at in range(3)]))
    parts = [grouped("rates", some[:1]), grouped("rates", some[1:])]
    whole = merged("rates", [grouped("rates", some)])
    assert merged("rates", parts).equals(whole) and whole.rows() == [("acme", "EUR", 2, 120, 18), ("other", "EUR", 1, 60, 9)]


def test_a_sum_beyond_what_nanos_hold_is_an_error_and_no_other_amount():
    huge = with_money(calls({}, {}), pl.DataFrame([charge(SELL, 2**62, at) for at in range(2)]))
    with pytest.raises(pl.exceptions.InvalidOperationError):
        merged("rates", [grouped("rates", huge)])


@pytest.mark.parametrize(
    ("second", "apart_ms"),
    [
        ({}, 0),
        ({"answer_ms": 1_900, "duration_ms": 60_500}, 900),
        ({"answer_ms": 3_001}, None),
        ({"duration_ms": 62_000}, None),
        ({"b_number": "4367"}, None),
        ({"account": "other"}, None),
    ],
)
def test_a_call_that_follows_the_same_one_closely_is_its_twin(second: dict[str, Any], apart_ms: int | None):
    priced = with_money(calls({}, second), pl.DataFrame([charge(SELL, 9, at) for at in range(2)]))
    found = twins(pl.concat([pairs(priced[:1]), pairs(priced[1:])]))
    assert found["apart_ms"].to_list() == ([] if apart_ms is None else [apart_ms])
