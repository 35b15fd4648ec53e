"""Callers that are suddenly others."""

from __future__ import annotations

import pytest

from detectors.spoofing import DETECTOR

STORED: dict[str, dict[str, str]] = {}


@pytest.mark.parametrize(
    ("what", "a_number", "found"),
    [
        ("callers of the called country, on an account that never had any", "43660{:07d}", True),
        ("numbers that do not exist", "999{:08d}", True),
        ("callers as before", "44791112{:04d}", False),
    ],
)
def test_whose_callers_are_false(found_by, office, call, what, a_number, found):
    before = office(4, per_day=200, a_number="447911123456")
    now = [call(4 * 86_400 + 40_000 + no * 5, f"43664{no:07d}", 60, a_number=a_number.format(no)) for no in range(300)]
    hits, _ = found_by(DETECTOR, [*before, *now])
    assert bool(hits) == found, what
    assert all(hit.no_block == "warns" for hit in hits)


def test_a_country_of_most_callers_is_home(found_by, office, call):
    """Its callers call home again after a campaign abroad: the called numbers are others, not the callers."""
    abroad = [call(day * 86_400 + 30_000 + no * 90, f"4930{no:07d}", 60, a_number="43660123456") for day in range(4) for no in range(200)]
    home = [call(4 * 86_400 + 40_000 + no * 5, f"43664{no:07d}", 60, a_number="43660123456") for no in range(300)]
    assert not found_by(DETECTOR, [*abroad, *home])[0]
