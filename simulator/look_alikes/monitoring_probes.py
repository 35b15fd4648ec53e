"""Probes that test routes: a few seconds each, every few minutes, to numbers in many countries. Resembles test calls and short calls."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import few, placed
from simulator.plan import LookAlike, Plan
from simulator.town import OFFICE, WHOLESALE, Town


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """A fixed round of test numbers, some expensive, called one after the other from one number."""
    regions = rng.choice(["CU", "LV", "SO", "GN", "TN", "FR", "BR", "IN", "NG", "US", "MA", "RS", "TR", "PK"], 8, replace=False)
    places = np.array([town.places.of[str(one), str(rng.choice(["fixed", "mobile"]))] for one in regions])
    numbers = town.places.numbers(places, rng.integers(0, 2**62, 8).astype(np.uint64))
    every_ms = int(rng.integers(4, 15)) * 60_000
    setup_ms = np.arange(plan.start_ms, plan.end_ms, every_ms) + rng.integers(0, 4000, len(range(plan.start_ms, plan.end_ms, every_ms)))
    n = len(setup_ms)
    talk_ms = rng.integers(2000, 16_000, n)
    one = few(rng, town.callers(plan.account), 1)
    turn = np.arange(n) % 8
    return placed(rng, town, plan, setup_ms, places[turn], numbers[turn], talk_ms=talk_ms, answered=0.9, callers=np.repeat(one, n))


LOOK_ALIKE = LookAlike("monitoring_probes", (OFFICE, WHOLESALE), 24.0, make, "irsf_test_calls", at_hour=0.0)
