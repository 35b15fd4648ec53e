"""A campaign that comes in over an account."""

from __future__ import annotations

import pytest

from detectors.robocalls import DETECTOR

STORED: dict[str, dict[str, str]] = {}


@pytest.mark.parametrize(
    ("what", "every_s", "talk_s", "found"),
    [
        ("nine hundred calls an hour, each from another number, nobody talks", 4, 4, True),
        ("conversations", 4, 90, False),
        ("one each ten minutes", 600, 4, False),
    ],
)
def test_who_rings_very_many_numbers(found_by, office, call, what, every_s, talk_s, found):
    machine = [
        call(4 * 86_400 + 40_000 + no * every_s, f"43664{no * 7919:07d}", talk_s * (no % 3 == 0), 0.01, a_number=f"43720{no:06d}")
        for no in range(200)
    ]  # fmt: skip
    hits, _ = found_by(DETECTOR, [*office(5), *machine])
    assert bool(hits) == found, what


def test_a_call_centre_is_as_short_every_day(found_by, call):
    days = [call(day * 86_400 + 30_000 + no * 90, f"43664{no * 7919:07d}", (4, 90, 0)[no % 3], 0.01) for day in range(4) for no in range(300)]
    assert not found_by(DETECTOR, days)[0]
