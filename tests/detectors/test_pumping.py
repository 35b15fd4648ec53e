"""Long calls at the same time to few numbers."""

from __future__ import annotations

import pytest

from detectors.pumping import DETECTOR

STORED: dict[str, dict[str, str]] = {}


@pytest.mark.parametrize(
    ("what", "numbers", "talk_s", "found"),
    [("one number", 1, 1_800, True), ("each another number", 60, 1_800, False), ("a minute each", 1, 60, False)],
)
def test_who_holds_calls_to_few_numbers(found_by, office, call, what, numbers, talk_s, found):
    held = [
        call(4 * 86_400 + 60_000 + no * 40, f"1712432{1000 + no % numbers}", talk_s, 0.5, a_number=f"4930555{no:04d}") for no in range(60)
    ]
    hits, _ = found_by(DETECTOR, [*office(5), *held])
    assert bool(hits) == found, what
    assert all(hit.no_block == "disputed" for hit in hits)
