"""A radio show's number: hundreds of callers within minutes, nearly all of them busy, a premium or shared-cost number. Resembles traffic pumping."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import at_random, placed
from simulator.plan import LookAlike, Plan
from simulator.town import HOME, SUBSCRIBER, Town


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Listeners of the whole town, several attempts each, thirty seconds where somebody gets through."""
    n = int(rng.integers(150, 500))
    place = town.places.of["AT", str(rng.choice(["premium", "shared", "fixed"]))]
    number = int(town.places.numbers(np.array([place]), rng.integers(0, 2**62, 1).astype(np.uint64))[0])
    people = rng.choice(town.accounts(SUBSCRIBER, HOME), n // 3)
    setup_ms = plan.start_ms + ((plan.end_ms - plan.start_ms) * np.sort(rng.beta(2, 5, n))).astype(np.int64)
    talk_ms = (1000 * rng.lognormal(np.log(30), 0.6, n)).astype(np.int64)
    return placed(rng, town, plan, setup_ms, place, np.full(n, number), talk_ms=talk_ms, answered=0.12, account=at_random(rng, people, n))


LOOK_ALIKE = LookAlike("radio_show", (SUBSCRIBER,), 1.0, make, "traffic_pumping", at_hour=18.0)
