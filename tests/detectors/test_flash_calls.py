"""Many calls that are given up at once: who shows few numbers wants to be called back, who shows one per call sends a code."""

from __future__ import annotations

import pytest

from detectors import wangiri
from detectors.flash_calls import DETECTOR

STORED: dict[str, dict[str, str]] = {}


@pytest.mark.parametrize(
    ("a_range", "shown", "more", "flash", "one_ring"),
    [
        ("2217704{:04d}", 20, {"rings_s": 1}, True, True),
        ("48600{:06d}", 10**6, {"rings_s": 1}, True, False),
        ("2217704{:04d}", 20, {"rings_s": 25}, False, False),
        ("2217704{:04d}", 20, {"rings_s": 1, "sip_code": 486}, False, False),
    ],
    ids=["few foreign numbers", "a number for each call", "it rings as long as for anybody", "they are busy"],
)
def test_who_gives_up_at_once(found_by, office, call, a_range, shown, more, flash, one_ring):
    rung = [call(4 * 86_400 + 40_000 + no * 3, f"43664{no:07d}", 0, a_number=a_range.format(no * 7919 % shown), **more) for no in range(150)]
    hits, _ = found_by(DETECTOR, [*office(4), *rung])
    assert bool(hits) == flash and {hit.no_block for hit in hits} <= {"warns"}
    assert bool(found_by(wangiri.DETECTOR, [*office(4), *rung])[0]) == one_ring
