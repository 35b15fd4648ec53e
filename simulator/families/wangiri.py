"""Wangiri: a broadcast of calls that ring once, and the calls back to an expensive number.

Diallers ring thousands of numbers in minutes and hang up after one ring; about 5 % of those who see the call ring back (Neural Technologies;
CFCA 2019: 1.8 billion USD); the numbers shown are far away, unassigned or satellite, and change when they are blocked (Enghouse, Mobileum;
S. Prasad et al., USENIX Security 2020, on wangiri seen by a honeypot). The broadcast comes in from a carrier; the calls back are the
subscribers' own.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import placed, targets, unanswered
from simulator.plan import Family, Plan
from simulator.town import HOME, SUBSCRIBER, WHOLESALE, Town

CALLS = (2500, 1200, 500)
NUMBERS_SHOWN = (3, 12, 60)
CALL_BACK = 0.05
HELD_S = 75.0


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """The broadcast in the first half of the plan, calls back within minutes to hours."""
    n = CALLS[plan.stealth]
    shown_in = targets(rng, town, 2, ("unallocated", "mobile"))
    shown = np.concatenate([one.numbers(rng.integers(0, 10**4, NUMBERS_SHOWN[plan.stealth])) for one in shown_in])
    which = rng.integers(0, len(shown), n)
    setup_ms = np.sort(rng.integers(plan.start_ms, (plan.start_ms + plan.end_ms) // 2, n))
    people = rng.choice(town.accounts(SUBSCRIBER, HOME), n)
    number = town.number[town.first[people]]
    rings = placed(rng, town, plan, setup_ms, town.places.of["AT", "mobile"], number, callers=shown[which], ring_s=1.2)
    rings = unanswered(rings, pl.lit(True), pl.lit(pl.Series(rng.integers(600, 2200, n))))

    back = np.flatnonzero(rng.random(n) < CALL_BACK)
    later_ms = setup_ms[back] + rings["pdd_ms"].to_numpy()[back] + (1000 * rng.lognormal(np.log(900), 1.4, len(back))).astype(np.int64)
    place = np.array([one.place for one in shown_in])[which[back] // NUMBERS_SHOWN[plan.stealth]]
    talk_ms = (1000 * rng.lognormal(np.log(HELD_S), 0.7, len(back))).astype(np.int64)
    callers = number[back]
    calls_back = placed(
        rng, town, plan, later_ms, place, shown[which[back]], talk_ms=talk_ms, answered=0.95, account=people[back], callers=callers, ring_s=2.0
    )  # fmt: skip
    return pl.concat([rings.with_columns(loss_eur=0.0), calls_back])


FAMILY = Family("wangiri", (WHOLESALE,), (2, 5, 10), (1e9, 1e9, 1e9), make)
