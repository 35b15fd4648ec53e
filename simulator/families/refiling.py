"""Refiling: traffic from expensive origins is sent on with callers' numbers of a cheap one, to avoid surcharges by origin.

The same few European numbers appear on many calls, at the same time in several of them, and in the order of a generator; the real callers'
hours and destinations show through (i3forum, "Origin based rating: fraud and misuse"; BEREC on origin based charging). The loss is the
surcharge, 0.15 EUR per minute.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.columns import hashed
from simulator.families.sim_box import by_hours
from simulator.placing import placed
from simulator.plan import Family, Plan
from simulator.town import WHOLESALE, Town

CALLS = (2500, 1400, 700)
NUMBERS_SHOWN = (6, 40, 300)
LOSS_PER_MIN_EUR = 0.15


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Long conversations to mobiles of the EEA from a short list of numbers."""
    n = CALLS[plan.stealth]
    regions = ("AT", "FR", "IT", "BE", "DE", "ES")
    place = np.array([town.places.of[one, "mobile"] for one in regions])[rng.integers(0, len(regions), n)]
    number = town.places.numbers(place, rng.integers(0, 2**62, n).astype(np.uint64))
    origin = town.places.of[str(rng.choice(["RO", "PL", "PT"])), "mobile"]
    shown = int(town.places.numbers(np.array([origin]), hashed(np.array([plan.account]), 41))[0]) // 1000 * 1000
    callers = shown + np.arange(n) % NUMBERS_SHOWN[plan.stealth]
    frame = placed(rng, town, plan, by_hours(rng, plan, n), place, number, median_s=200.0, answered=0.6, callers=callers)
    return frame.with_columns(loss_eur=pl.col("talk_ms").fill_null(0) / 60_000 * LOSS_PER_MIN_EUR)


FAMILY = Family("refiling", (WHOLESALE,), (6, 14, 24), (0, 0, 0), make, slow=True)
