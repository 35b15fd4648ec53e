"""IRSF, slow and spread: a few calls per hour for days, over many countries, numbers and callers, below every counter.

Hacked exchanges that are milked for months stay under their owner's notice: several accounts or callers, many destinations, office hours
included (Europol and Trend Micro, "Cyber-Telecom Crime Report 2019"; Commsrisk's fraud puzzles of several exchanges that forward to one another).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import at_random, moments, placed, targets, within_budget
from simulator.plan import Family, Plan
from simulator.town import OFFICE, WHOLESALE, Town

CALLS_PER_HOUR = (14.0, 7.0, 3.5)
RANGES = (15, 30, 60)
MEDIAN_S = (360.0, 260.0, 200.0)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Calls at random times, each to the next of many ranges, each number at most a few times."""
    n = max(int(rng.poisson(plan.hours * CALLS_PER_HOUR[plan.stealth])), 8)
    ranges = targets(rng, town, RANGES[plan.stealth])
    setup_ms = moments(rng, plan, n)
    chosen = [ranges[one] for one in rng.integers(0, len(ranges), n)]
    number = np.array([int(one.numbers(rng.integers(0, 60, 1))[0]) for one in chosen])
    place = np.array([one.place for one in chosen])
    talk_ms = (1000 * rng.lognormal(np.log(MEDIAN_S[plan.stealth]), 0.6, n)).astype(np.int64)
    callers = at_random(rng, town.callers(plan.account), n)
    frame = placed(rng, town, plan, setup_ms, place, number, talk_ms=talk_ms, answered=0.9, callers=callers, ring_s=3.0)
    return within_budget(frame, town.places.cost[place], plan.budget_eur)


FAMILY = Family("irsf_slow", (OFFICE, WHOLESALE), (30, 40, 60), (3000, 1200, 500), make, slow=True)
