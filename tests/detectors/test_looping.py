"""The same call again and again."""

from __future__ import annotations

import pytest

from detectors.looping import DETECTOR

STORED: dict[str, dict[str, str]] = {}


@pytest.mark.parametrize(
    ("what", "every_s", "numbers", "found"),
    [("within half a second", 0.5, 1, True), ("a person redials", 15, 1, False), ("different numbers", 0.5, 10, False)],
)
def test_which_call_comes_back(found_by, call, what, every_s, numbers, found):
    hits, _ = found_by(DETECTOR, [call(no * every_s, f"92305{no % numbers:07d}", 0) for no in range(10)])
    assert bool(hits) == found, what
