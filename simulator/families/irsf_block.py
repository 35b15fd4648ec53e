"""IRSF into a number block: every number of a block once or twice, in order or shuffled, so that no number is ever called often.

Providers of international premium numbers rent blocks of a hundred to ten thousand consecutive numbers, and rotate them when one is
blocked (Sahin and Francillon, NDSS 2021; Europol and Trend Micro, 2019).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import at_random, few, placed, redial, targets, within_budget
from simulator.plan import STEALTHY, Family, Plan
from simulator.town import CALLSHOP, OFFICE, WHOLESALE, Town

LINES = ((10, 25), (4, 9), (2, 4))
MEDIAN_S = (180.0, 120.0, 90.0)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Lines walk through one block; a stealthy attacker shuffles it."""
    one = targets(rng, town, 1)[0].wide(4)
    setup_ms, talk_ms = redial(rng, plan, int(rng.integers(*LINES[plan.stealth])), MEDIAN_S[plan.stealth], 5.0, 120.0)
    n = len(setup_ms)
    ends = np.arange(n) + int(rng.integers(0, 50))
    if plan.stealth == STEALTHY:
        ends = rng.permutation(ends)
    callers = at_random(rng, few(rng, town.callers(plan.account), 5), n)
    frame = placed(rng, town, plan, setup_ms, one.place, one.numbers(ends), talk_ms=talk_ms, answered=0.92, callers=callers, ring_s=2.0)
    return within_budget(frame, town.places.cost[one.place], plan.budget_eur)


FAMILY = Family("irsf_block", (OFFICE, CALLSHOP, WHOLESALE), (3, 5, 8), (6000, 1500, 400), make)
