"""Many calls that are given up at once, within one country."""

from __future__ import annotations

import pytest

from detectors import wangiri
from detectors.flash_calls import DETECTOR

STORED: dict[str, dict[str, str]] = {}


@pytest.mark.parametrize(
    ("a_range", "rings_s", "flash", "one_ring"),
    [("4366077", 1, True, False), ("22177042", 1, False, True), ("22177042", 25, False, False)],
    ids=["of the same country", "of another country", "it rings as long as for anybody"],
)
def test_who_gives_up_at_once(found_by, office, call, a_range, rings_s, flash, one_ring):
    rung = [call(4 * 86_400 + 40_000 + no * 3, f"43664{no:07d}", 0, rings_s=rings_s, a_number=f"{a_range}{no % 50:04d}") for no in range(150)]
    assert bool(found_by(DETECTOR, [*office(4), *rung])[0]) == flash
    assert bool(found_by(wangiri.DETECTOR, [*office(4), *rung])[0]) == one_ring
