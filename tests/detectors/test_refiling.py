"""A new block of foreign callers."""

from __future__ import annotations

import pytest

from detectors.refiling import DETECTOR

STORED: dict[str, dict[str, str]] = {}
BEGAN_S = 4 * 86_400 + 40_000


@pytest.mark.parametrize(
    ("what", "a_number", "b_numbers", "talk_s", "found"),
    [
        ("six numbers of Poland to everybody, with conversations", "4860012300{:d}", 1000, 200, True),
        ("the same people again and again: a firm", "4860012300{:d}", 8, 200, False),
        ("seconds each", "4860012300{:d}", 1000, 4, False),
        ("callers of the called country", "4366412300{:d}", 1000, 200, False),
        ("the account's own block", "43720123456{:d}", 1000, 200, False),
    ],
)
def test_whose_calls_are_refiled(found_by, office, call, what, a_number, b_numbers, talk_s, found):
    others = office(5, per_day=120)
    calls = [call(BEGAN_S + no * 20, f"43664{no % b_numbers * 7919 % 10**7:07d}", talk_s, a_number=a_number.format(no % 6)) for no in range(150)]
    hits, _ = found_by(DETECTOR, [*others, *calls])
    assert bool(hits) == found, what
    assert all(hit.subject_kind == "a_range" and not hit.no_block for hit in hits)
    assert not found or (max(hit.probability for hit in hits) >= 0.9 and max(hit.loss for hit in hits) > 1.0)
