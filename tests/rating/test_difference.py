"""What a run changes is told by cause, and the causes add up to the change."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import MAX_NANOS, to_nanos, to_text
from core.schemas import CHARGES
from rating.difference import Difference, Sum, difference, of_same_calls


def charge(offset: int = 1, **fields: Any) -> dict[str, Any]:
    """A charge of 61 s at 0.06 with a connect fee of 0.01, but for what is said."""
    row = {name: "" if dtype == pl.String else 0 for name, dtype in CHARGES.items()}
    row |= {"partition": 0, "offset": offset, "role": "sell", "account": "acme", "carrier": "alpha", "destination": "Austria", "deck": "retail"}
    row |= {"prefix": "43", "charged_s": 61, "per_min_nanos": to_nanos("0.06"), "connect_nanos": to_nanos("0.01"), "currency": "EUR"} | fields
    if "usage_nanos" not in fields:
        row["usage_nanos"] = (row["per_min_nanos"] * row["charged_s"] + 30) // 60
    return row | {"nanos": row["usage_nanos"] + row["connect_nanos"] + row["attempt_nanos"] + row["surcharge_nanos"]}


def of(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Difference:
    old, new = (pl.DataFrame(rows, schema=CHARGES) for rows in (before, after))
    return difference(of_same_calls(old, new), new)


def told(found: Difference, by: str = "all") -> list[str]:
    """A line per sum: what it was and is, and why."""
    return [
        f"{key.name or key.role} {key.currency} {to_text(before)} -> {to_text(after)}: "
        + ", ".join(f"{cause} {to_text(nanos)}" for cause, (_, nanos) in causes.items())
        for key, _, before, after, causes in found.of(by)
    ]


CASES = {
    "nothing": ([charge()], [charge()], ["sell EUR 0.071 -> 0.071: "]),
    "a dearer minute": ([charge()], [charge(per_min_nanos=to_nanos("0.12"))], ["sell EUR 0.071 -> 0.132: rate 0.061"]),
    "another prefix": ([charge()], [charge(prefix="431", per_min_nanos=to_nanos("0.12"))], ["sell EUR 0.071 -> 0.132: prefix 0.061"]),
    "whole minutes": ([charge()], [charge(charged_s=120)], ["sell EUR 0.071 -> 0.13: increment 0.059"]),
    "a dearer minute, in whole ones": (
        [charge()], [charge(charged_s=120, per_min_nanos=to_nanos("0.12"))], ["sell EUR 0.071 -> 0.25: rate 0.061, increment 0.118"],
    ),
    "no connect fee": ([charge()], [charge(connect_nanos=0)], ["sell EUR 0.071 -> 0.061: connect fee -0.01"]),
    "a surcharge": ([charge()], [charge(surcharge_nanos=to_nanos("0.5"))], ["sell EUR 0.071 -> 0.571: surcharge 0.5"]),
    "the feed's amount gives way": (
        [charge(deck="", prefix="", usage_nanos=to_nanos("2"), per_min_nanos=0, connect_nanos=0)], [charge()], ["sell EUR 2 -> 0.071: deck -1.929"],
    ),
    "another currency": (
        [charge()], [charge(currency="USD")], ["sell EUR 0.071 -> 0: currency -0.071", "sell USD 0 -> 0.071: currency 0.071"],
    ),
    "nothing in no currency": (
        [charge(currency="", deck="", usage_nanos=0, connect_nanos=0)], [charge()], ["sell EUR 0 -> 0.071: deck 0.071"],
    ),
    "a call that was unrated": ([], [charge()], ["sell EUR 0 -> 0.071: was unrated 0.071"]),
    "a new reseller": ([charge()], [charge(), charge(level=1)], ["sell EUR 0 -> 0.071: reseller 0.071", "sell EUR 0.071 -> 0.071: "]),
    "a reseller less": ([charge(), charge(level=1)], [charge()], ["sell EUR 0.071 -> 0: reseller -0.071", "sell EUR 0.071 -> 0.071: "]),
    "an attempt that costs a fee now": (
        [charge()], [charge(), charge(role="buy", attempt_no=1, charged_s=0, connect_nanos=0, attempt_nanos=to_nanos("0.001"))],
        ["buy EUR 0 -> 0.001: attempt fee 0.001", "sell EUR 0.071 -> 0.071: "],
    ),
    "another rate of the day": (
        [charge(fx="USD 0.9", usage_nanos=54_900_000)], [charge(fx="USD 0.8", usage_nanos=48_800_000)],
        ["sell EUR 0.0649 -> 0.0588: exchange -0.0061"],
    ),
    "a dearer minute in another currency, in whole ones": (
        [charge(fx="USD 0.5", usage_nanos=30_500_000)], [charge(fx="USD 0.5", charged_s=120, per_min_nanos=to_nanos("0.12"))
         | {"usage_nanos": 120_000_000, "nanos": 130_000_000}],
        ["sell EUR 0.0405 -> 0.13: rate 0.0305, increment 0.059"],
    ),
    "a price that changes within the call": (
        [charge()], [charge(charged_s=30), charge(segment=1, charged_s=31, connect_nanos=0, per_min_nanos=to_nanos("0.03"))],
        ["sell EUR 0.071 -> 0.0555: increment -0.031, price change 0.0155"],
    ),
    "another rounding": ([charge(usage_nanos=60_999_999)], [charge()], ["sell EUR 0.070999999 -> 0.071: rounding 0.000000001"]),
    "a call that is not priced again stays": ([charge(), charge(2)], [charge()], ["sell EUR 0.071 -> 0.071: "]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_told_by_its_cause(name):
    before, after, lines = CASES[name]
    assert told(of(before, after)) == lines


def test_by_account_carrier_and_destination():
    before = [charge(), charge(2, account="blue", carrier="beta"), charge(3, destination="Spain")]
    after = [charge(), charge(2, account="blue", carrier="beta", charged_s=120), charge(3, destination="Spain", connect_nanos=0)]
    found = of(before, after)
    assert told(found, "account") == ["blue EUR 0.071 -> 0.13: increment 0.059", "acme EUR 0.142 -> 0.132: connect fee -0.01"]
    assert told(found, "carrier") == ["beta EUR 0.071 -> 0.13: increment 0.059", "alpha EUR 0.142 -> 0.132: connect fee -0.01"]
    assert told(found, "destination") == ["Austria EUR 0.142 -> 0.201: increment 0.059", "Spain EUR 0.071 -> 0.061: connect fee -0.01"]


def test_sums_do_not_wrap_and_slices_add_up():
    most = {"usage_nanos": MAX_NANOS, "connect_nanos": 0}
    rows = [charge(n, **most) for n in range(50)]
    found = of([], rows)
    found.add(of([], rows))
    assert found.sums[Sum("all", "", "sell", 0, "EUR")] == (100, 0, 100 * MAX_NANOS)


def test_sums_that_were_added_up_on_the_way_are_the_same(monkeypatch):
    slices = [of([charge(n)], [charge(n, charged_s=120), charge(n + 1, account="blue")]) for n in (1, 3, 5)]
    whole, on_the_way = Difference(), Difference()
    for one in slices:
        whole.add(one)
    monkeypatch.setattr("rating.difference.MOST_PARTS", 1)
    for one in slices:
        on_the_way.add(one)
    assert len(on_the_way.totals) < len(whole.totals)
    assert (on_the_way.sums, on_the_way.causes) == (whole.sums, whole.causes)


@pytest.mark.parametrize("key", [{"attempt_no": 128}, {"level": 32}, {"segment": 128}, {"offset": 2**43}, {"partition": 1}])
def test_charges_are_matched_whatever_their_key(key):
    others = [charge(2, role="buy"), charge(2, role="buy", attempt_no=1), charge(2, level=1)]
    before = [*others, charge(**{"offset": 2, "charged_s": 30} | key)]
    after = [*others, charge(**{"offset": 2, "charged_s": 60} | key)]
    found = difference(*(pl.DataFrame(rows, schema=CHARGES) for rows in (before, after)))
    assert {cause: moved for (of_sum, cause), moved in found.causes.items() if of_sum.by == "all"} == {"increment": (1, 30_000_000)}


charges = st.builds(
    lambda offset, level, role, no, **fields: charge(
        offset, role=role, level=level if role == "sell" else 0, attempt_no=no if role == "buy" else 0, **fields
    ),
    st.integers(1, 3), st.integers(0, 1), st.sampled_from(["sell", "buy"]), st.integers(1, 2),
    account=st.sampled_from(["acme", "blue"]), destination=st.sampled_from(["Austria", "Spain"]), prefix=st.sampled_from(["43", "431"]),
    deck=st.sampled_from(["", "retail"]), charged_s=st.integers(0, 10_000), per_min_nanos=st.integers(-(10**9), 10**14),
    usage_nanos=st.integers(-(10**12), 10**12), connect_nanos=st.integers(0, 10**9), attempt_nanos=st.integers(0, 10**9),
    currency=st.sampled_from(["EUR", "EUR", "USD", ""]), fx=st.sampled_from(["", "", "USD 0.9"]), segment=st.sampled_from([0, 0, 1]),
)  # fmt: skip


@given(st.lists(charges, max_size=8), st.lists(charges, max_size=8))
@settings(max_examples=150, deadline=None)
def test_the_causes_add_up_to_the_change_and_the_change_to_the_charges(before, after):
    def place(row):
        return row["offset"], row["role"], row["level"], row["attempt_no"], row["segment"]

    before, after = ([*{place(row): row for row in rows}.values()] for rows in (before, after))
    found = of(before, after)
    for key, (_, old, new) in found.sums.items():
        assert new - old == sum(nanos for (of_key, _), (_, nanos) in found.causes.items() if of_key == key)
    again = {row["offset"] for row in after}
    for by in ("account", "carrier", "destination", "all"):
        change = sum(new - old for key, (_, old, new) in found.sums.items() if key.by == by)
        assert change == sum(row["nanos"] for row in after) - sum(row["nanos"] for row in before if row["offset"] in again)
