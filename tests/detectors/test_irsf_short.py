"""Answered calls of seconds that are charged a whole first increment."""

from __future__ import annotations

import pytest

from detectors.irsf_short import DETECTOR

STORED: dict[str, dict[str, str]] = {}
START_S = 4 * 86_400 + 36_000


@pytest.mark.parametrize(
    ("what", "talk_s", "b_number", "found"),
    [
        ("thirty calls of three seconds into one range", 3, "2249{:08d}", True),
        ("the same with a minute of talk", 60, "2249{:08d}", False),
        ("three seconds each, all over the country", 3, "4366{:03d}12345", False),
    ],
)
def test_who_makes_very_short_calls(found_by, office, call, what, talk_s, b_number, found):
    number = [b_number.format(no * 31) for no in range(40)]
    hits, _ = found_by(DETECTOR, [*office(4), *(call(START_S + no * 12, number[no], talk_s, 0.45) for no in range(40))])
    assert bool(hits) == found, what
