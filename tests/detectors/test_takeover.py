"""Money to destinations that the account never called."""

from __future__ import annotations

import pytest

from detectors.takeover import DETECTOR

STORED: dict[str, dict[str, str]] = {}
NIGHT_S = 4 * 86_400 + 2 * 3_600


@pytest.mark.parametrize(
    ("what", "zones", "every_s", "money", "found"),
    [
        ("three new destinations at once, at night", ("2249", "2697", "6777"), 30, 5.0, True),
        ("three new destinations, one call each", ("2249", "2697", "6777"), 3_600, 0.3, False),
        ("its own country, as always", ("431", "432", "433"), 30, 5.0, False),
    ],
)
def test_who_spends_where_it_never_did(found_by, office, call, what, zones, every_s, money, found):
    stolen = [call(NIGHT_S + no * every_s, f"{zones[no % 3]}51234{no:03d}", 400, money) for no in range(18)]
    hits, _ = found_by(DETECTOR, [*office(4), *stolen[: 18 if every_s < 60 else 3]])
    assert bool(hits) == found, what
    assert all(hit.subject_kind == "account_zone" and not hit.no_block for hit in hits)


@pytest.mark.parametrize(("answered_of_ten", "found"), [(10, True), (9, True), (5, False)])
def test_people_who_open_far_countries_are_answered_half_of_the_time(found_by, office, call, answered_of_ten, found):
    """An aid organisation's new mission: twelve colleagues call four dear countries within an hour, each of them new, several at once."""
    day_s = 4 * 86_400 + 10 * 3_600
    zones = ("2527", "2499", "2116", "5093")
    mission = [
        call(
            day_s + no * 50, f"{zones[no % 4]}{123 + no % 20:03d}{1000 + no:04d}", 300 if no * 3 % 10 < answered_of_ten else 0, 3.0,
            a_number=f"4372012345{no % 12:02d}", rings_s=15,
        )
        for no in range(72)
    ]  # fmt: skip
    hits, _ = found_by(DETECTOR, [*office(4), *mission])
    assert any(hit.probability >= 0.9 for hit in hits) == found
