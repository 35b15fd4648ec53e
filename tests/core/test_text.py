"""Times, durations and amounts for people, and masked telephone numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.text import amount, clock, masked, moment, span, visible

NOON_MS = 1_764_072_000_000  # 2025-11-25 12:00:00 UTC


def test_a_time_has_its_day_where_that_is_not_today():
    assert clock(NOON_MS + 999) == "12:00:00" and clock(NOON_MS - 1) == "11:59:59"
    assert moment(NOON_MS, NOON_MS + 11 * 3_600_000) == "12:00:00"
    assert moment(NOON_MS, NOON_MS + 12 * 3_600_000) == "25 Nov 12:00"


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 s"), (1000, "1 s"), (9_949, "9.9 s"), (9_999, "10 s"), (10_000, "10 s"), (59_499, "59 s"), (59_500, "1 min"), (61_000, "1 min 1 s"),
        (3_599_000, "59 min 59 s"), (3_600_000, "1 h"), (3_601_000, "1 h 1 s"), (3_661_000, "1 h 1 min"), (360_000_000, "100 h"),
    ],
)  # fmt: skip
def test_a_span_has_two_units_at_most(ms: int, text: str):
    assert span(ms) == text


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [("0.005", 2, "0.01"), ("-0.005", 2, "-0.01"), ("0.0049", 2, "0.00"), ("-0.0049", 2, "0.00"), ("1000", 0, "1,000"), ("0.0005", 3, "0.001")],
)
def test_an_amount_is_rounded_half_up(value: str, decimals: int, text: str):
    assert amount(Decimal(value), decimals) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("43664123", "4366••23"), ("436641", "436641"), ("4366412", "4366•12"), ("1234567.89 EUR", "1234567.89 EUR"), ("12.34567890", "12.34567890"),
        ("to 436641234567.", "to 4366••••••67."), ("1234567.x", "1234•67.x"), ("“123456”", "“123456”"), ("“+1 234 567”", "“+1 234 •67”"),
        ("“1234567", "“1234•67"),
    ],
)  # fmt: skip
def test_a_number_of_seven_digits_shows_four_and_two(text: str, shown: str):
    assert masked(text) == shown





def test_a_range_is_plain_but_not_where_it_was_dialled():
    assert masked("8821312 and “8821312”", plain=("8821312",)) == "8821312 and “8821•12”"


def test_nothing_hides_in_a_text():
    assert visible("a\u200bb\x1bc\u202ed\ud800") == "a�b�c�d?" and visible("Zoë ") == "Zoë "
