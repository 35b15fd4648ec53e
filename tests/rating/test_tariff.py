"""What a row of a deck charges, and what it cannot."""

from __future__ import annotations

import pytest

from rating.tariff import Step, Tariff, check_steps, parse_steps, per_minute, steps_text

MAX = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "0 steps: 1 to 16 are needed"),
        ("0:1/60", "step '0:1/60' is none: write START:PRICE/SECONDS:INCREMENT, as 0:0.06/60:60"),
        ("5:1/60:1", "the first step starts at second 5: write one that starts at 0"),
        ("0:1/60:1 0:2/60:1", "step at second 0 does not come after the one at 0"),
        ("0:1/60:1 60:1/60:1 30:1/60:1", "step at second 30 does not come after the one at 60"),
        ("0:1/0:1", "start, seconds per price and increment must be 1 to"),
        ("0:1/60:0", "start, seconds per price and increment must be 1 to"),
        ("0:-1/60:1", "its price is negative; a party that is paid has reverse=yes"),
        ("0:9000000000/60:1", "its price is outside the range of a price"),
        (" ".join(f"{n}:1/60:1" for n in range(17)), "17 steps: 1 to 16 are needed"),
        ("0:1/65521:1 1:1/65519:1", "that has no common measure in range"),
    ],
)
def test_steps_that_cannot_be_meant_are_refused(text, fault):
    with pytest.raises(ValueError, match=fault):
        parse_steps(text)


def test_the_dearest_price_that_stays_in_range():
    assert check_steps([Step(0, MAX // 60, 60, 1)])
    with pytest.raises(ValueError, match="outside the range"):
        check_steps([Step(0, MAX // 60 + 1, 60, 1)])


def test_steps_are_written_as_they_are_read():
    text = "0:0.06/60:60 60:0.000000001/1:7"
    assert steps_text(parse_steps(text)) == text


@pytest.mark.parametrize(
    ("tariff", "plain"),
    [
        (per_minute(60, 30, 6), True), (per_minute(60, 1, 1, 5, 6), True), (Tariff(parse_steps("0:1/60:60 60:1/60:1")), True),
        (Tariff(parse_steps("0:1/60:60 30:1/60:1")), False), (Tariff(parse_steps("0:1/60:60 60:2/60:1")), False),
        (Tariff(parse_steps("0:1/1:1")), False),
        (per_minute(60, 1, 1)._replace(grace_s=1), False), (per_minute(60, 1, 1)._replace(max_nanos=0), False),
        (per_minute(60, 1, 1)._replace(reverse=True), False),
    ],
)  # fmt: skip
def test_a_tariff_that_the_short_arithmetic_prices(tariff, plain):
    assert tariff.is_plain is plain
