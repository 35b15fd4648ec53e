"""Calls of an hour against the same hour of the weeks before: `calls of this week -> found`."""

from __future__ import annotations

import polars as pl
import pytest

from assurance.controls.protocol import Facts
from assurance.controls.traffic_by_hour import CONTROL, WEEK_H

HOUR = 3_600_000
NOW_H = 4 * WEEK_H + 1


@pytest.mark.parametrize(("normal", "have", "is_found"), [(100, 100, False), (100, 51, False), (100, 10, True), (100, 0, True), (30, 0, False)])
def test_an_hour_is_found_that_has_far_fewer_calls_than_is_normal(normal: int, have: int, is_found: bool):
    counts = [(week * WEEK_H, normal) for week in range(4)] + ([(4 * WEEK_H, have)] if have else [])
    # An hour later there is no call, because the hour is not over.
    counts += [(week * WEEK_H + 1, normal) for week in range(4)]
    hours = pl.DataFrame({"switch": "k1", "ingress_trunk": "sbc", "hour": [hour for hour, _ in counts], "calls": [calls for _, calls in counts]})
    trunks = pl.DataFrame({"switch": ["k1"], "ingress_trunk": ["sbc"], "calls": [10], "nanos": [50], "currency": ["EUR"]})
    found = CONTROL.run(Facts(4 * WEEK_H * HOUR, 6 * WEEK_H * HOUR, NOW_H * HOUR, {"hours": hours, "trunks": trunks}))
    assert found.status == ("found" if is_found else "not_checked" if normal < 40 else "passed")
    assert not is_found or (found.count, found.money) == (normal - have, {"EUR": 5 * (normal - have)})
