"""Traffic pumping (access stimulation): calls are lured or generated into numbers whose operator gets a high access charge.

The FCC's orders on access stimulation (2011, 2019) describe free conference and chat lines in rural exchanges: a terminating to originating ratio of
3:1 and more, growth of over 100 % in a month, and long calls into a few number blocks. TransNexus (2012): a conference server answers and
holds the calls. The loss is the access charge, 0.03 EUR per minute above an ordinary domestic one.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.columns import hashed
from simulator.placing import at_random, moments, placed
from simulator.plan import Family, Plan
from simulator.town import HOME, OFFICE, SUBSCRIBER, Town

CALLS_PER_HOUR = (120, 50, 20)
NUMBERS = (4, 12, 30)
MEDIAN_S = (2400.0, 1500.0, 900.0)
LOSS_PER_MIN_EUR = 0.03


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Callers of many accounts, and a few generators among them, into one block of fixed numbers."""
    n = int(plan.hours * CALLS_PER_HOUR[plan.stealth])
    place = town.places.of["US" if rng.random() < 0.4 else "AT", "fixed"]
    block = int(town.places.numbers(np.array([place]), hashed(np.array([plan.account]), 8))[0]) // 100 * 100
    numbers = block + rng.choice(100, NUMBERS[plan.stealth], replace=False)
    people = rng.choice(town.accounts(SUBSCRIBER, HOME, OFFICE), max(n // 4, 10))
    account = at_random(rng, people, n)
    account[rng.random(n) < (0.5, 0.3, 0.1)[plan.stealth]] = plan.account
    talk_ms = (1000 * rng.lognormal(np.log(MEDIAN_S[plan.stealth]), 0.6, n)).astype(np.int64)
    called, setup_ms = at_random(rng, numbers, n), moments(rng, plan, n)
    frame = placed(rng, town, plan, setup_ms, place, called, talk_ms=talk_ms, answered=0.97, account=account, ring_s=1.0)
    return frame.with_columns(loss_eur=pl.col("talk_ms").fill_null(0) / 60_000 * LOSS_PER_MIN_EUR)


FAMILY = Family("traffic_pumping", (OFFICE,), (12, 24, 36), (1e9, 1e9, 1e9), make, slow=True)
