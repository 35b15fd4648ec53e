"""IRSF, the burst: parallel calls to a few ranges until somebody notices.

A carrier's event costs 3,000 to 50,000 USD (TransNexus, "Traffic pumping fraud hits VoIP", 2012). One documented week end: 18,000 calls in 30
hours to 750 numbers for 120,000 USD (XINTEC, "IRSF fraud story", 2016), which is about 25 lines at 150 s. Premium, unassigned and ordinary mobile
ranges alike (Sahin and Francillon, NDSS 2021). A careful attacker uses fewer lines and shorter calls, because tools alarm at counts and at one hour.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import at_random, few, placed, redial, targets, within_budget
from simulator.plan import Family, Plan
from simulator.town import CALLCENTRE, HOME, OFFICE, WHOLESALE, Town

LINES = ((20, 60), (6, 16), (2, 5))
MEDIAN_S = (420.0, 260.0, 150.0)
BUILD_UP_S = (20.0, 180.0, 900.0)
NUMBERS = (4, 12)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Lines redial at random into one to three ranges."""
    return burst(rng, town, plan, ("premium", "unallocated", "mobile"))


def make_mobile(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """The same into ordinary mobile ranges alone, where honest calls go as well."""
    return burst(rng, town, plan, ("mobile",))


def burst(rng: np.random.Generator, town: Town, plan: Plan, kinds: tuple[str, ...]) -> pl.DataFrame:
    """A burst into ranges of some kinds."""
    ranges = targets(rng, town, int(rng.integers(1, 4)), kinds)
    lines = int(rng.integers(*LINES[plan.stealth]))
    setup_ms, talk_ms = redial(rng, plan, lines, MEDIAN_S[plan.stealth], 3.0, BUILD_UP_S[plan.stealth])
    n = len(setup_ms)
    pool = [(int(one.numbers(np.array([end]))[0]), one.place) for one in ranges for end in rng.integers(0, 10**4, rng.integers(*NUMBERS))]
    which = rng.integers(0, len(pool), n)
    place = np.array([place for _, place in pool])[which]
    callers = at_random(rng, few(rng, town.callers(plan.account), int(rng.choice((1, 3, 50)))), n)
    number = np.array([number for number, _ in pool])[which]
    frame = placed(rng, town, plan, setup_ms, place, number, talk_ms=talk_ms, answered=0.93, callers=callers, ring_s=2.5)
    return within_budget(frame, town.places.cost[place], plan.budget_eur)


VICTIMS = (OFFICE, HOME, CALLCENTRE, WHOLESALE)
FAMILIES = (
    Family("irsf_burst", VICTIMS, (3.0, 4.0, 6.0), (12_000, 3000, 500), make),
    Family("irsf_burst_mobile", VICTIMS, (3.0, 4.0, 6.0), (8000, 2000, 400), make_mobile),
)
