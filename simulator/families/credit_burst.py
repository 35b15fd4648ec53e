"""Subscription fraud and the credit burst: an account opened with false papers calls little for a day, then uses its whole credit at once.

The largest fraud by method in CFCA's surveys of 2019 and 2021. Subscribers who never pay call abroad and premium numbers far above their peers
within days of activation, often on several SIM cards at once (P. Estevez et al., "Subscription fraud prevention in telecommunications using fuzzy
rules and neural networks", Expert Systems with Applications 31, 2006; GSMA FF.21).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import at_random, moments, placed, redial, targets, within_budget
from simulator.plan import Family, Plan
from simulator.town import SUBSCRIBER, Town

LINES = (3, 2, 1)
MEDIAN_S = (900.0, 600.0, 420.0)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """A few domestic calls, then the burst in the last third of the plan: call forwarding or conference calls give a SIM several lines."""
    start = plan.start_ms + (plan.end_ms - plan.start_ms) * 2 // 3
    before = Plan(plan.name, plan.account, plan.start_ms, start)
    home = town.places.of["AT", "mobile"]
    n = int(rng.integers(2, 8))
    quiet = placed(rng, town, plan, moments(rng, before, n), home, at_random(rng, town.subscribers, n), answered=0.7)
    ranges = targets(rng, town, 4, ("mobile", "premium", "mobile"))
    later = Plan(plan.name, plan.account, start, plan.end_ms)
    setup_ms, talk_ms = redial(rng, later, LINES[plan.stealth], MEDIAN_S[plan.stealth], 10.0, 60.0)
    chosen = rng.integers(0, len(ranges), len(setup_ms))
    number = np.choose(chosen, [one.numbers(rng.integers(0, 9, len(setup_ms))) for one in ranges])
    place = np.array([one.place for one in ranges])[chosen]
    burst = placed(rng, town, plan, setup_ms, place, number, talk_ms=talk_ms, answered=0.85)
    return pl.concat([quiet, within_budget(burst, town.places.cost[place], plan.budget_eur)])


FAMILY = Family("credit_burst", (SUBSCRIBER,), (18, 30, 40), (900, 500, 250), make, fresh=True)
