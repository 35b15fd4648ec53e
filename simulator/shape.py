"""The distributions of legitimate traffic: how long people talk and when they call."""

from __future__ import annotations

import math
from random import Random

ONE_SECOND_SHARE = 0.06
"""The share of answered calls that end after a second: a wrong number, a mailbox, a machine that hangs up."""

LONGEST_S = 2 * 3600

SHAPE = 1.7
"""The shape of the log-logistic distribution, hence its tail. The mean is 1.9 times the median."""


def talk_ms(rng: Random, median_s: float) -> int:
    """The duration of an answered call: log-logistic, with a point mass at one second.

    >>> sorted(talk_ms(Random(i), 80) // 60_000 for i in range(9))
    [0, 0, 1, 2, 2, 3, 3, 7, 8]
    """
    if rng.random() < ONE_SECOND_SHARE:
        return 1000 + int(rng.random() * 400) - 200
    u = min(max(rng.random(), 1e-9), 1 - 1e-9)
    return int(1000 * min(max(median_s * (u / (1 - u)) ** (1 / SHAPE), 1.0), LONGEST_S))


def _bump(hour: float, centre: float, width: float) -> float:
    away = min(abs(hour - centre), 24 - abs(hour - centre))
    return math.exp(-0.5 * (away / width) ** 2)


def busyness(habit: str, hour_of_week: float) -> float:
    """The activity of a kind of account at an hour of its own week (0 = Monday, midnight), without a unit: only ratios have a meaning.

    >>> busyness("office", 10) > 20 * busyness("office", 3), busyness("office", 10) > 5 * busyness("office", 5 * 24 + 10)
    (True, True)
    """
    day, hour = divmod(hour_of_week % 168, 24)
    weekend = day >= 5
    if habit == "office":
        return 0.02 + (0.08 if weekend else 1.0) * (_bump(hour, 10.5, 1.6) + 0.9 * _bump(hour, 15, 1.8))
    if habit == "callcentre":
        return 0.005 + (0.3 if weekend else 1.0) * (1.0 if 9 <= hour < 20 else 0.02)
    if habit == "callshop":
        return 0.06 + (1.4 if weekend else 1.0) * (_bump(hour, 19.5, 2.6) + 0.4 * _bump(hour, 13, 2))
    if habit == "home":
        return 0.05 + (1.2 if weekend else 1.0) * (0.5 * _bump(hour, 12, 2.5) + _bump(hour, 19.5, 2.2))
    if habit == "wholesale":
        return 0.35 + (0.8 if weekend else 1.0) * _bump(hour, 16, 4)
    raise ValueError(f"no habit {habit!r}")
