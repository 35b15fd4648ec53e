"""A hotel: guests from everywhere call home in the evening, long and to countries that the hotel never called. Resembles PBX hacking."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import moments, placed
from simulator.plan import LookAlike, Plan
from simulator.town import OFFICE, Town

ORIGINS = ("RU", "CN", "IL", "BR", "JP", "IN", "SA", "KR", "UA", "MA", "TN", "RS", "BA", "GE", "EG", "TR", "US", "ZA")


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """A few guests' families, several calls each."""
    guests = int(rng.integers(6, 20))
    places = np.array([town.places.of[str(one), str(rng.choice(["fixed", "mobile"]))] for one in rng.choice(ORIGINS, guests)])
    numbers = town.places.numbers(places, rng.integers(0, 2**62, guests).astype(np.uint64))
    n = int(rng.integers(20, 70))
    which = rng.integers(0, guests, n)
    callers = town.callers(plan.account)[which % int(town.size[plan.account])]
    return placed(rng, town, plan, moments(rng, plan, n), places[which], numbers[which], median_s=260.0, answered=0.55, callers=callers)


LOOK_ALIKE = LookAlike("hotel_pbx", (OFFICE,), 5.0, make, "pbx_hacking", at_hour=19.0)
