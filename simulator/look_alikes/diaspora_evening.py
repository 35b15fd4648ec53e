"""An evening of a diaspora: a household or a hostel calls one far country for hours, also to ranges that fraud uses. Resembles IRSF."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import placed
from simulator.plan import LookAlike, Plan
from simulator.town import CALLSHOP, HOME, SUBSCRIBER, Town

COUNTRIES = ("CU", "SO", "BA", "RS", "SL", "GN", "GM", "TN", "LV", "LT", "MG", "NG", "PK", "SY", "ER", "ET")


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """A few families' numbers, tried until somebody answers, then long conversations."""
    place = town.places.of[str(rng.choice(COUNTRIES)), "mobile"]
    families = town.places.numbers(np.full(7, place), rng.integers(0, 2**62, 7).astype(np.uint64))
    n = int(rng.integers(8, 40))
    setup_ms = plan.start_ms + ((plan.end_ms - plan.start_ms) * np.sort(rng.beta(2, 2, n))).astype(np.int64)
    which = (7 * rng.random(n) ** 1.6).astype(np.int64)
    return placed(rng, town, plan, setup_ms, place, families[which], median_s=420.0, answered=0.45)


LOOK_ALIKE = LookAlike("diaspora_evening", (HOME, SUBSCRIBER, CALLSHOP), 4.0, make, "irsf_burst", at_hour=18.5)
