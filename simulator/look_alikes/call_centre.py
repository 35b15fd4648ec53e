"""A call centre that works off a list: many distinct numbers of one country, short calls, busy hours. Resembles robocalls and SIM boxes."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import moments, placed
from simulator.plan import LookAlike, Plan
from simulator.town import CALLCENTRE, Town


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """A list of customers abroad, each called once or twice, a fifth of them for long."""
    n = int(rng.integers(200, 600))
    region = str(rng.choice(["DE", "CH", "IT", "GB"]))
    place = np.array([town.places.of[region, kind] for kind in ("fixed", "mobile")])[rng.integers(0, 2, n)]
    number = town.places.numbers(place, rng.integers(0, 2**62, n).astype(np.uint64))
    return placed(rng, town, plan, moments(rng, plan, n), place, number, median_s=float(rng.uniform(25, 60)), answered=0.38)


LOOK_ALIKE = LookAlike("call_centre", (CALLCENTRE,), 9.0, make, "robocalls")
