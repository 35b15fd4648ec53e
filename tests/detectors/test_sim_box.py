"""One SIM that calls many different numbers all day."""

from __future__ import annotations

import pytest

from detectors.sim_box import DETECTOR

STORED: dict[str, dict[str, str]] = {}
SIM = "436607770001"


@pytest.mark.parametrize(
    ("what", "numbers", "talk_s", "more", "found"),
    [
        ("many SIMs in one device, one cell", 120, 100, {"imei": "350000000000001", "cell": "c1"}, True),
        ("no such fields, and a new caller with ordinary talk", 120, 100, {}, True),
        ("the same five numbers", 5, 100, {}, False),
        ("seconds each: a dialler", 120, 6, {}, False),
    ],
)
def test_who_calls_like_a_sim_box(found_by, office, call, what, numbers, talk_s, more, found):
    sims = [
        call(4 * 86_400 + 30_000 + no * 120, f"43664{no % numbers:03d}1234", talk_s if no % 2 else 0, a_number=SIM, **more)
        | ({"imsi": f"2320{no % 6}"} if more else {})
        for no in range(120)
    ]  # fmt: skip
    hits, _ = found_by(DETECTOR, [*office(5), *sims])
    assert bool(hits) == found, what
    assert all(hit.no_block == "warns" for hit in hits)
