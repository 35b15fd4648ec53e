"""A holiday's greetings: everyone calls far relatives at the same hour, longer than ever. Resembles a slow and spread attack."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.honest import contacts
from simulator.placing import placed
from simulator.plan import LookAlike, Plan
from simulator.town import CALLSHOP, WHOLESALE, Town


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Three times the usual traffic of an account for one evening, to its usual countries, its callers' own contacts first."""
    n = int(rng.integers(150, 500))
    setup_ms = plan.start_ms + ((plan.end_ms - plan.start_ms) * np.sort(rng.beta(3, 3, n))).astype(np.int64)
    account = np.full(n, plan.account)
    caller = town.first[plan.account] + (town.size[plan.account] * rng.random(n)).astype(np.int64)
    place, number = contacts(rng, town, account, caller)
    return placed(rng, town, plan, setup_ms, place, number, median_s=280.0, answered=0.5, callers=town.number[caller])


LOOK_ALIKE = LookAlike("holiday_peak", (CALLSHOP, WHOLESALE), 6.0, make, "irsf_slow", at_hour=17.0)
