"""A block of numbers: many ranges of one destination at once."""

from __future__ import annotations

import pytest

from detectors.irsf_block import DETECTOR

STORED: dict[str, dict[str, str]] = {}
NIGHT_S = 4 * 86_400 + 2 * 3_600


@pytest.mark.parametrize(
    ("what", "money", "every_s", "found"),
    [
        ("sixteen ranges of one destination, dear and at once", 3.0, 40, True),
        ("as cheap as a call at home", 0.01, 40, False),
        ("one each hour", 3.0, 3_600, False),
    ],
)
def test_who_dials_through_a_block_of_numbers(found_by, office, call, what, money, every_s, found):
    dialled = [call(NIGHT_S + no * every_s, f"25261{no:03d}1234", 300, money) for no in range(16)]
    hits, _ = found_by(DETECTOR, [*office(4), *dialled])
    assert bool(hits) == found, what
    assert all(hit.subject_kind == "account_zone" for hit in hits)
