"""A predictive dialler: more attempts than agents, most of them given up or unanswered. Resembles robocalls, wangiri and flash calls."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import moments, placed, unanswered
from simulator.plan import LookAlike, Plan
from simulator.town import CALLCENTRE, Town


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Domestic numbers from a list; a tenth is given up after a few seconds of ringing, for want of an agent."""
    n = int(rng.integers(400, 1200))
    region = ("AT", "DE", "GB", "US")[int(town.region[plan.account])]
    place = np.array([town.places.of[region, kind] for kind in ("fixed", "mobile")])[rng.integers(0, 2, n)]
    number = town.places.numbers(place, rng.integers(0, 2**62, n).astype(np.uint64))
    frame = placed(rng, town, plan, moments(rng, plan, n), place, number, median_s=35.0, answered=0.3)
    return unanswered(frame, pl.Series(rng.random(n) < 0.1), pl.lit(pl.Series(rng.integers(2500, 9000, n))))


LOOK_ALIKE = LookAlike("dialler", (CALLCENTRE,), 9.0, make, "robocalls")
