"""Numbers as people and programs write them: read in one way only, or refused with a hint."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from core.decimals import number, plain


@pytest.mark.parametrize("text", ["0", "1.", ".5", "-1.5", "+7", "1e-9999", "1E+4", "007"])
def test_a_plain_number_is_unchanged(text: str):
    assert plain(text) == text


@pytest.mark.parametrize("text", ["", ".", "1_000", "١", "1.5.2", "0x1", " 1", "1 ", "nan", "inf", "e5", "1e12345", "--1", "1,5"])
def test_what_only_decimal_accepts_is_no_number(text: str):
    with pytest.raises(ValueError, match="is not a number"):
        plain(text)


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "value"),
    [
        ("1,234.5", ".", ",", "1234.5"),
        ("1,234,567", ".", ",", "1234567"),
        ("12,345", ".", ",", "12345"),
        ("123,456.", ".", ",", "123456"),
        ("1.021,04", ",", ".", "1021.04"),
        ("1 021,04", ",", " ", "1021.04"),
        ("1\u00a0021", ".", " ", "1021"),
        ("1\u202f021\u2009500", ".", " ", "1021500"),
        ("1'021.5", ".", "'", "1021.5"),
        ("1’021.5", ".", "'", "1021.5"),
        ("-1,000", ".", ",", "-1000"),
        ("0,5", ",", "", "0.5"),
        ("0,5", ",", ".", "0.5"),
        ("1000000000000000", ".", "", "1000000000000000"),
        ("-1000000000000000", ".", "", "-1000000000000000"),
    ],
)
def test_a_number_is_read_by_the_declared_format(text: str, decimal: str, thousands: str, value: str):
    assert number(text, decimal, thousands) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "decimal", "thousands"),
    [
        ("0,025", ".", ","),  # nobody writes 25 so
        ("1,23", ".", ","),
        ("1234,567", ".", ","),
        ("1,2345", ".", ","),
        ("1,234,56", ".", ","),
        ("1,5", ".", ""),
        ("1,5,2", ",", ""),
        ("1’021.5", ".", ","),
    ],
)
def test_an_ambiguous_number_is_refused(text: str, decimal: str, thousands: str):
    with pytest.raises(ValueError, match="is not a number"):
        number(text, decimal, thousands)


@pytest.mark.parametrize(
    ("text", "decimal", "hint"),
    [
        ("1,500", ".", 'where a comma stands between thousands, the mapping says thousands: ","'),
        ("1.500,25", ".", 'where a point stands between thousands and a comma before the decimals, the mapping says decimal: "," and thousands: "."'),
        ("1 500", ".", 'where a space stands between thousands, the mapping says thousands: " "'),
        ("1 500,5", ".", 'where a space stands between thousands and a comma before the decimals, the mapping says decimal: "," and thousands: " "'),
        ("1'500", ".", "where an apostrophe stands between thousands, the mapping says thousands: \"'\""),
        ("1,5", ".", 'where decimals follow a comma, the mapping says decimal: ","'),
        (",5", ".", 'where decimals follow a comma, the mapping says decimal: ","'),
        ("1.500", ",", 'that decimals follow a comma; where a point stands between thousands, the mapping says thousands: "."'),
    ],
)
def test_a_refusal_shows_the_declaration_that_would_help(text: str, decimal: str, hint: str):
    with pytest.raises(ValueError, match=re.escape(hint) + "$"):
        number(text, decimal)


def test_no_hint_where_nothing_would_help():
    for text, decimal, thousands in (("abc", ".", ""), ("1,5", ".", ","), ("1,5x", ".", ""), ("0.5", ",", "")):
        with pytest.raises(ValueError, match=r"(is not a number|decimals follow a comma)$"):
            number(text, decimal, thousands)


def test_the_hint_names_its_source():
    with pytest.raises(ValueError, match="the deck says thousands"):
        number("1,500", source="the deck says")


@pytest.mark.parametrize("text", ["1000000000000000.1", "-1000000000000001", "1e16", "1e9999"])
def test_a_number_that_no_call_has_is_out_of_range(text: str):
    with pytest.raises(ValueError, match="is out of range"):
        number(text)


def test_a_long_text_is_shown_by_its_beginning():
    with pytest.raises(ValueError, match=f"^'{'9' * 40}' is not a number$"):
        plain("9" * 50 + "x")
