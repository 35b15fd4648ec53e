"""The distributions of talk times and calls."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import median, quantiles

import pytest

from simulator.shape import ONE_SECOND_SHARE, SHAPE, busyness, talk_ms
from simulator.traffic import hour_of_week, legitimate
from simulator.world import make_world


def test_talk_times_are_log_logistic_with_a_point_mass_at_one_second() -> None:
    rng = Random(1)
    talks = [talk_ms(rng, 80) / 1000 for _ in range(50_000)]
    at_one = [one for one in talks if one <= 1.2]
    assert len(at_one) / len(talks) == pytest.approx(ONE_SECOND_SHARE, abs=0.005)
    rest = [one for one in talks if one > 1.2]
    assert median(rest) == pytest.approx(80, rel=0.03)
    low, *_, high = quantiles(rest, n=4)
    assert high / low == pytest.approx(9 ** (1 / SHAPE), rel=0.05)  # of a log-logistic law: 3 to the power of 2 / shape


def test_activity_falls_at_night_and_at_weekends() -> None:
    for habit in ("office", "callcentre", "callshop", "home", "wholesale"):
        week = [busyness(habit, hour) for hour in range(168)]
        assert min(week) > 0
        assert max(week) / min(week) > 2
    assert busyness("home", 19) > busyness("home", 10) > busyness("home", 3)
    with pytest.raises(ValueError, match="no habit"):
        busyness("robot", 0)


def test_legitimate_traffic_has_its_rate_and_the_shape_of_the_day() -> None:
    monday = 1_772_409_600_000
    assert hour_of_week(monday) == 0
    day_ms = 24 * 3_600_000
    calls = list(legitimate(make_world(1), 1, monday, 0.05, day_ms, monday + day_ms))
    assert len(calls) == pytest.approx(0.05 * 86_400, rel=0.08)
    by_hour = [0] * 24
    for one in calls:
        by_hour[(one.at_ms - monday) // 3_600_000] += 1
    assert sum(by_hour[9:12]) > 3 * sum(by_hour[1:4])
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(calls))


def test_callers_mostly_call_known_contacts() -> None:
    start = 1_772_438_400_000
    world = make_world(3)
    calls = list(legitimate(world, 3, start, 1.0, 7_200_000, start + 7_200_000))
    habits = {one.name: one.habit for one in world.subscribers}
    pairs: dict[str, list[tuple[str, str]]] = {"office": [], "callcentre": [], "home": []}
    for one in calls:
        if habits[one.account] in pairs and one.a_number:
            pairs[habits[one.account]].append((one.a_number, one.b_number))
    again = 1 - len(set(pairs["office"])) / len(pairs["office"])
    assert again > 0.3
