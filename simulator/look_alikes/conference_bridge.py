"""An office that joins a conference abroad: many callers, one number, all at once, for an hour. Resembles traffic pumping and a burst."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import few, placed
from simulator.plan import LookAlike, Plan
from simulator.town import OFFICE, Town


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Two or three meetings; everyone dials in within minutes, some drop out and dial again."""
    place = town.places.of[str(rng.choice(["GB", "US", "CH", "IN", "AE", "ZA"])), "fixed"]
    bridge = int(town.places.numbers(np.array([place]), rng.integers(0, 2**62, 1).astype(np.uint64))[0])
    frames = []
    for begin in rng.integers(plan.start_ms, plan.end_ms, 3):
        people = few(rng, town.callers(plan.account), int(rng.integers(6, 25)))
        n = len(people)
        setup_ms = np.sort(int(begin) + (1000 * rng.normal(0, 150, n)).astype(np.int64))
        talk_ms = (1000 * rng.normal(2700, 700, n).clip(120, 5400)).astype(np.int64)
        frames.append(placed(rng, town, plan, setup_ms, place, np.full(n, bridge), talk_ms=talk_ms, answered=0.98, callers=people, ring_s=1.0))
    return pl.concat(frames)


LOOK_ALIKE = LookAlike("conference_bridge", (OFFICE,), 7.0, make, "traffic_pumping")
