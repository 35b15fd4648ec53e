"""A marketing campaign: a firm calls its customers of one area within two hours, number after number. Resembles a number block."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import few, placed
from simulator.plan import LookAlike, Plan
from simulator.town import OFFICE, Town


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """The lines of one area in order of their numbers, with gaps, from a few extensions."""
    n = int(rng.integers(120, 400))
    place = town.places.of[str(rng.choice(["AT", "DE", "HU", "SI", "HR"])), "fixed"]
    first = int(town.places.numbers(np.array([place]), rng.integers(0, 2**62, 1).astype(np.uint64))[0]) // 10_000 * 10_000
    number = first + np.cumsum(rng.integers(1, 20, n))
    setup_ms = plan.start_ms + np.cumsum(rng.exponential(1, n) * (plan.end_ms - plan.start_ms) / n / 1.3).astype(np.int64)
    callers = few(rng, town.callers(plan.account), 4)
    return placed(rng, town, plan, setup_ms, place, number, median_s=45.0, answered=0.45, callers=callers[rng.integers(0, len(callers), n)])


LOOK_ALIKE = LookAlike("marketing_burst", (OFFICE,), 2.0, make, "irsf_block")
