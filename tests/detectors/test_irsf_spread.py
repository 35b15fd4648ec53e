"""A few dear calls an hour, each to another range, for a day."""

from __future__ import annotations

import pytest

from detectors.irsf_spread import DETECTOR

STORED: dict[str, dict[str, str]] = {}
START_S = 4 * 86_400 + 3_600


@pytest.mark.parametrize(
    ("what", "b_number", "money", "found"),
    [
        ("each call to another range", "2526{:04d}1234", 5.0, True),
        ("the same number each time", "252610001234", 5.0, False),
        ("as cheap as a call at home", "2526{:04d}1234", 0.05, False),
    ],
)
def test_who_calls_slowly_and_everywhere(found_by, office, call, what, b_number, money, found):
    spread = [call(START_S + no * 3_000, b_number.format(no * 37), 400, money) for no in range(16)]
    hits, _ = found_by(DETECTOR, [*office(4), *spread])
    assert bool(hits) == found, what
