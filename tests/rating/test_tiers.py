"""Usage that is priced by its sum: every unit once, whatever the order of the calls."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.tiers import Interval, Tier, by_interval, graduated, volume

TIERS = (Tier(Fraction(10), Fraction(10), Fraction(2)), Tier(Fraction(20), Fraction(5), Fraction(3)), Tier(None, Fraction(1)))


@pytest.mark.parametrize(
    ("units", "each_in_its_tier", "all_in_one"),
    [("0", "2", "0"), ("1", "12", "12"), ("10", "102", "102"), ("10.5", "107.5", "55.5"), ("20", "155", "103"), ("21", "156", "21")],
)
def test_tiers(units, each_in_its_tier, all_in_one):
    assert (graduated(Fraction(units), TIERS), volume(Fraction(units), TIERS)) == (Fraction(each_in_its_tier), Fraction(all_in_one))


@given(st.integers(0, 60))
def test_each_unit_is_in_one_tier(units):
    model = sum((10 if n < 10 else 5 if n < 20 else 1) for n in range(units)) + 2 + 3 * (units > 10)
    assert graduated(Fraction(units), TIERS) == model


def test_usage_beyond_the_last_tier_has_no_price():
    tiers = (Interval(Fraction(2), Fraction(1), Fraction("0.5")), Interval(Fraction(4), Fraction(1), Fraction("3.5")))
    assert [by_interval(Fraction(units), tiers, Fraction(7)) for units in (0, 1, 2, 6, 99)] == [0, 9, 11, 13, 13]
    assert volume(Fraction(5), (Tier(Fraction(3), Fraction(1)),)) == 0
