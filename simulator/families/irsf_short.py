"""IRSF by short calls at the minimum increment: each call lasts seconds and is billed a whole minute, in ordinary ranges as well.

Where a destination is sold by 60/60 seconds or with a connection fee, a call of three seconds earns the same share as one of sixty, and no
duration alarm sees it (i3forum, "Fraud classification and recommendations on dispute handling"; GSMA FF.21 fraud manual, call-setup-fee abuse).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import at_random, few, moments, placed, targets, within_budget
from simulator.plan import Family, Plan
from simulator.town import OFFICE, WHOLESALE, Town

CALLS_PER_MINUTE = (30.0, 8.0, 2.0)
LONGEST_S = (4.0, 8.0, 20.0)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Many calls of a few seconds, to the numbers of one or two ranges."""
    n = min(int(plan.hours * 60 * CALLS_PER_MINUTE[plan.stealth]), 6000)
    ranges = targets(rng, town, int(rng.integers(1, 3)), ("mobile", "unallocated", "premium"))
    setup_ms = moments(rng, plan, n)
    which = rng.integers(0, len(ranges), n)
    ends = rng.integers(0, 400, n)
    number = np.choose(which, [one.numbers(ends) for one in ranges])
    place = np.array([one.place for one in ranges])[which]
    talk_ms = rng.integers(1000, int(1000 * LONGEST_S[plan.stealth]), n)
    callers = at_random(rng, few(rng, town.callers(plan.account), (3, 30, 300)[plan.stealth]), n)
    frame = placed(rng, town, plan, setup_ms, place, number, talk_ms=talk_ms, answered=0.95, callers=callers, ring_s=1.5)
    return within_budget(frame, town.places.cost[place], plan.budget_eur)


FAMILY = Family("irsf_short", (WHOLESALE, OFFICE), (2, 4, 8), (2500, 900, 300), make)
