"""Lengths of time as people type them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.durations import UNITS_MS, to_ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [("1ms", "1"), ("90s", "90000"), ("2m", "120000"), ("1h30m", "5400000"), ("7d", "604800000"), ("0.5s", "500"), ("1m1s1ms", "61001"), ("0s", "0"),
     ("123456789012s", "123456789012000"), ("0.123456789s", "123.456789"), ("1m30", None), ("90", None), ("", None), ("1 h", None), ("1h ", None),
     ("-1s", None), ("1w", None), (".5s", None), ("1.s", None), ("٣s", None), ("1234567890123s", None), ("1.1234567890s", None)],
)  # fmt: skip
def test_a_length_of_time(text, ms):
    if ms is None:
        with pytest.raises(ValueError, match="is not a length of time: write"):
            to_ms(text)
    else:
        assert to_ms(text) == Decimal(ms)


def test_units_are_milliseconds():
    assert UNITS_MS == {"ms": 1, "s": 1000, "m": 60 * 1000, "h": 60 * 60 * 1000, "d": 24 * 60 * 60 * 1000}
