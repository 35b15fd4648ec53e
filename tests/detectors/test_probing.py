"""Test calls before the fraud."""

from __future__ import annotations

import pytest

from detectors.probing import DETECTOR

STORED: dict[str, dict[str, str]] = {}
NIGHT_S = 4 * 86_400 + 2 * 3_600
ZONES = ("9609", "6745", "8821", "2697", "2613", "6777", "6857", "2327")


@pytest.mark.parametrize(
    ("what", "talk_s", "every_s", "found"),
    [("eight dear destinations, seconds each", 5, 60, True), ("an hour apart", 5, 3_600, False), ("conversations", 600, 60, False)],
)
def test_who_tries_destinations(found_by, office, call, what, talk_s, every_s, found):
    hits, _ = found_by(DETECTOR, [*office(4), *(call(NIGHT_S + no * every_s, f"{zone}1234567", talk_s, 1.5) for no, zone in enumerate(ZONES))])
    assert bool(hits) == found, what
    assert all(hit.no_block == "warns" for hit in hits)
