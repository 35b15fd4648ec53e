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
