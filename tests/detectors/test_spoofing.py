"""Callers that are suddenly others."""

from __future__ import annotations

import pytest

from detectors.spoofing import DETECTOR

FADING = {"t_ms": "int64", "calls": "float64"}
STORED = dict.fromkeys(("calls", "bad", "own", "week_calls", "week_bad", "week_own"), FADING)


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
