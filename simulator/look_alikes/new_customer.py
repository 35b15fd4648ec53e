"""A new customer who moves his traffic over within an hour: no past, steep growth, many destinations. Resembles subscription fraud."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.honest import contacts
from simulator.placing import placed
from simulator.plan import LookAlike, Plan
from simulator.town import OFFICE, WHOLESALE, Town


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """The calls of an office or a carrier, from its first day on; the rate grows with the square of time at first."""
    n = int(rng.integers(250, 900))
    setup_ms = plan.start_ms + ((plan.end_ms - plan.start_ms) * np.sort(rng.random(n) ** 0.7)).astype(np.int64)
    account = np.full(n, plan.account)
    caller = town.first[plan.account] + (town.size[plan.account] * rng.random(n) ** 1.5).astype(np.int64)
    place, number = contacts(rng, town, account, caller)
    return placed(rng, town, plan, setup_ms, place, number, median_s=80.0, answered=town.places.answered[place], callers=town.number[caller])


LOOK_ALIKE = LookAlike("new_customer", (OFFICE, WHOLESALE), 20.0, make, "credit_burst", fresh=True)
