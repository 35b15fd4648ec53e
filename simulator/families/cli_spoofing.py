"""CLI spoofing: a carrier's customer sends calls from abroad with invented or stolen domestic numbers, to deceive or to pay the domestic rate.

Numbers that do not exist, of wrong length or of subscribers who are at home at that moment (i3forum, "CLI spoofing: risks, detection and
mitigation"; ECC Report 248 on CLI in international calls; GSMA FF.21). Careful ones stay within assigned ranges. The loss is the surcharge by
origin, 0.08 EUR per minute (BEREC's survey of rates for calls from outside the EEA).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.columns import hashed
from simulator.placing import at_random, moments, placed
from simulator.plan import Family, Plan
from simulator.town import WHOLESALE, Town

CALLS = (2500, 1200, 500)
INVALID = (0.6, 0.25, 0.02)
STOLEN = (0.2, 0.4, 0.5)
LOSS_PER_MIN_EUR = 0.08


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Ordinary conversations to domestic numbers, with callers' numbers that are not the callers'."""
    n = CALLS[plan.stealth]
    place = rng.choice([town.places.of["AT", "mobile"], town.places.of["AT", "fixed"]], n)
    number = town.places.numbers(place, rng.integers(0, 2**62, n).astype(np.uint64))
    callers = town.places.numbers(np.full(n, town.places.of["AT", "fixed"]), hashed(np.arange(n), plan.account, 31))
    callers = np.where(rng.random(n) < STOLEN[plan.stealth], at_random(rng, town.subscribers, n), callers)
    frame = placed(rng, town, plan, moments(rng, plan, n), place, number, median_s=70.0, answered=0.6, callers=callers)
    bad, form = pl.Series(rng.random(n) < INVALID[plan.stealth]), pl.Series(rng.integers(0, 3, n))
    wrong = (
        pl.when(form == 0).then(pl.col("a_number").str.slice(0, 7))
        .when(form == 1).then(pl.lit("43000") + pl.col("a_number").str.slice(3))
        .otherwise(pl.col("a_number") + pl.lit("77777"))
    )  # fmt: skip
    return frame.with_columns(
        a_number=pl.when(bad).then(wrong).otherwise("a_number"), loss_eur=pl.col("talk_ms").fill_null(0) / 60_000 * LOSS_PER_MIN_EUR
    )


FAMILY = Family("cli_spoofing", (WHOLESALE,), (4, 10, 20), (0, 0, 0), make)
