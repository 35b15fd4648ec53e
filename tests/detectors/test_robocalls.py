"""One caller to very many numbers."""

from __future__ import annotations

import pytest

from detectors.robocalls import DETECTOR

STORED: dict[str, dict[str, str]] = {}
CALLER = "43720880001"


@pytest.mark.parametrize(
    ("what", "every_s", "talk_s", "found"),
    [("nine hundred calls an hour, nobody talks", 4, 4, True), ("conversations", 4, 90, False), ("one each three minutes", 180, 4, False)],
)
def test_who_rings_very_many_numbers(found_by, office, call, what, every_s, talk_s, found):
    machine = [call(4 * 86_400 + 40_000 + no * every_s, f"43664{no:07d}", talk_s * (no % 3 == 0), 0.01, a_number=CALLER) for no in range(200)]
    if talk_s > 60:
        machine = [one | {"answered": True, "talk_ms": 90_000, "duration_ms": 90_000} for one in machine]
    hits, _ = found_by(DETECTOR, [*office(5), *machine])
    assert bool(hits) == found, what
