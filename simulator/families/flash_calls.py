"""Flash calls: one-time passwords in the caller's number of a call that rings for an instant and is never answered.

A number of a pool, or an invented one, whose last four to six digits are the code (TMT ID; Infobip; GMS); zero duration, nothing to bill, and the
operator loses the message that it would have sold, a few cents each (LATRO; Juniper: 60 million calls in 2021). The loss is 0.04 EUR per call.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.columns import hashed
from simulator.placing import at_random, moments, placed, unanswered
from simulator.plan import Family, Plan
from simulator.town import WHOLESALE, Town

CALLS = (3000, 1200, 400)
OPEN_DIGITS = (4, 5, 6)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Calls to the operator's subscribers from a range of numbers, given up after an instant."""
    n = CALLS[plan.stealth]
    place = town.places.of[str(rng.choice(["GB", "PL", "RO", "SE"])), "mobile"]
    base = int(town.places.numbers(np.array([place]), hashed(np.array([plan.account]), 21))[0])
    power = 10 ** OPEN_DIGITS[plan.stealth]
    shown = base // power * power + rng.integers(0, power, n)
    called = at_random(rng, town.subscribers, n)
    frame = placed(rng, town, plan, moments(rng, plan, n), town.places.of["AT", "mobile"], called, callers=shown)
    return unanswered(frame, pl.lit(True), pl.lit(pl.Series(rng.integers(150, 1500, n)))).with_columns(loss_eur=0.04)


FAMILY = Family("flash_calls", (WHOLESALE,), (4, 10, 20), (0, 0, 0), make)
