"""Exact integers, held to `Decimal` digit by digit."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import MAX_NANOS, divide_half_up, to_decimal, to_nanos, to_text

nanos = st.integers(-MAX_NANOS, MAX_NANOS)


@given(nanos)
def test_text_and_back_is_the_same_amount(amount: int):
    assert to_nanos(to_text(amount)) == amount
    assert to_nanos(to_decimal(amount)) == amount


@given(nanos)
def test_the_text_is_what_decimal_would_write(amount: int):
    with localcontext() as context:
        context.prec = 60
        expected = format((Decimal(amount) / 10**9).normalize(), "f")
    assert to_text(amount) == ("0" if amount == 0 else expected)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(9 * 10**9), max_value=9 * 10**9))
def test_a_decimal_of_nine_places_is_exact(amount: Decimal):
    assert to_decimal(to_nanos(amount)) == amount
    assert to_nanos(str(amount)) == to_nanos(amount)


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**20))
def test_the_one_rounding_is_half_away_from_zero(numerator: int, denominator: int):
    with localcontext() as context:
        context.prec = 120
        expected = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    assert divide_half_up(numerator, denominator) == int(expected)


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [(1, 2, 1), (-1, 2, -1), (1, 3, 0), (2, 3, 1), (0, 7, 0), (149, 100, 1), (150, 100, 2)],
)
def test_the_one_rounding(numerator: int, denominator: int, quotient: int):
    assert divide_half_up(numerator, denominator) == quotient


def test_nothing_is_divided_by_nothing():
    for denominator in (0, -1):
        with pytest.raises(ValueError, match="positive"):
            divide_half_up(1, denominator)


@pytest.mark.parametrize(
    "text", ["", "abc", "1,5", "NaN", "Infinity", "-inf", "1e400", "9223372036.854775808", "0.0000000001", "1e31", "--1", "0x10"]
)
def test_what_is_not_an_amount_is_refused(text: str):
    with pytest.raises(ValueError, match=r"amount|decimals"):
        to_nanos(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("-0", 0),
        ("0e99", 0),
        ("1e3", 1_000_000_000_000),
        ("9223372036.854775807", MAX_NANOS),
        (" 1.50 ", 1_500_000_000),
        ("1.500000000000", 1_500_000_000),
    ],
)
def test_what_people_type(text: str, amount: int):
    assert to_nanos(text) == amount


@pytest.mark.parametrize("text", ["1_5", "1_000.5", "\u0663", "\uff11.\uff15", "0x10", "Infinity", "nan", "1,5", "", "1.5\n", "--1"])
def test_an_amount_is_plain_ascii_digits(text):
    with pytest.raises(ValueError, match="is not a decimal amount"):
        to_nanos(text)
