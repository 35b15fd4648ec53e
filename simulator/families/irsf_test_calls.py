"""IRSF with test calls: before the burst somebody tries which ranges are reachable and pay, with a few short calls to test numbers.

Resellers publish test numbers with a log of calls to them, and attackers call these first, hours or days ahead; in the two hacked exchanges of
Sahin and Francillon (NDSS 2021) test numbers were called before and during the attack. XINTEC found 261 of 750 numbers of one attack on lists.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from simulator.families.irsf_burst import BUILD_UP_S, LINES, MEDIAN_S
from simulator.placing import at_random, few, moments, placed, redial, targets, within_budget
from simulator.plan import Family, Plan
from simulator.town import HOME, OFFICE, Town

TESTS = (14, 9, 5)
QUIET_HOURS = (1.0, 5.0, 12.0)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Test calls to one number in each of several ranges, silence, then lines into the ranges that answered."""
    ranges = targets(rng, town, TESTS[plan.stealth])
    callers = few(rng, town.callers(plan.account), 1)
    quiet_ms = int(min(QUIET_HOURS[plan.stealth], plan.hours / 2) * 3_600_000)
    first = replace(plan, end_ms=plan.start_ms + quiet_ms // 2)
    n = len(ranges)
    number = np.array([int(one.numbers(np.array([1]))[0]) for one in ranges])
    talk_ms = rng.integers(2000, 12_000, n)
    place = np.array([one.place for one in ranges])
    tests = placed(rng, town, plan, moments(rng, first, n), place, number, talk_ms=talk_ms, answered=0.5, callers=at_random(rng, callers, n))
    paying = [ranges[at] for at in np.flatnonzero(tests["talk_ms"].is_not_null().to_numpy())[:3]] or ranges[:1]
    later = replace(plan, start_ms=plan.start_ms + quiet_ms)
    setup_ms, talk_ms = redial(rng, later, int(rng.integers(*LINES[plan.stealth])), MEDIAN_S[plan.stealth], 3.0, BUILD_UP_S[plan.stealth])
    which = rng.integers(0, len(paying), len(setup_ms))
    ends = rng.integers(0, 10, len(setup_ms))
    number = np.choose(which, [one.numbers(ends) for one in paying])
    place = np.array([one.place for one in paying])[which]
    who = at_random(rng, callers, len(setup_ms))
    burst = placed(rng, town, plan, setup_ms, place, number, talk_ms=talk_ms, answered=0.93, callers=who, ring_s=2.5)
    return pl.concat([tests, within_budget(burst, town.places.cost[place], plan.budget_eur)])


FAMILY = Family("irsf_test_calls", (OFFICE, HOME), (5, 12, 26), (8000, 2000, 400), make)
