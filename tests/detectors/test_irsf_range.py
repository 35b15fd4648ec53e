"""Calls pumped into one range, and calls that only look like it."""

from __future__ import annotations

import pytest

from detectors.irsf_range import DETECTOR

STORED: dict[str, dict[str, str]] = {}

NIGHT_S = 4 * 86_400 + 2 * 3_600
BUSY_S = 4 * 86_400 + 10 * 3_600


@pytest.mark.parametrize(
    ("what", "b_number", "calls", "every_s", "talk_s", "money", "found"),
    [
        ("a premium range at night, five calls at once", "3719001{:04d}", 12, 30, 300, 4.0, True),
        ("an ordinary mobile range abroad", "252612{:06d}", 12, 30, 300, 3.0, True),
        ("two calls home to an expensive country", "2526123{:05d}", 2, 900, 600, 4.0, False),
        ("one number again and again, one call after the other", "252612345678", 8, 400, 300, 3.0, False),
        ("a crowd of cheap calls at home", "4315123{:04d}", 60, 10, 60, 0.02, False),
    ],
)
def test_who_pumps_calls_into_a_range(found_by, office, call, what, b_number, calls, every_s, talk_s, money, found):
    pumped = [call(NIGHT_S + no * every_s, b_number.format(no % 10_000), talk_s, money) for no in range(calls)]
    hits, frame = found_by(DETECTOR, [*office(4), *pumped])
    assert bool(hits) == found, what
    if found:
        assert {hit.subject_kind for hit in hits} == {"account_range"} and not hits[0].no_block
        assert hits[-1].one_caller and hits[-1].probability > 0.9 and hits[-1].loss > 2
        spent = sum(frame["nanos"][row] for row in range(hits[0].row + 1) if frame["b_range"][row] == frame["b_range"][hits[0].row])
        assert spent < 30e9, "it is seen before it has cost much"


def test_a_regular_destination_is_not_blocked(found_by, office, call):
    weeks = [call(day * 86_400 + 36_000 + no * 60, f"252612{no:06d}", 300, 3.0) for day in range(8) for no in range(12)]
    hits, _ = found_by(DETECTOR, [*office(8), *weeks], least_probability=0.0)
    assert "regular" in {hit.no_block for hit in hits[-5:]}
