"""Robocalls: storms of short calls to numbers at random, each with another caller's number.

S. Prasad et al. ("Who's Calling?", USENIX Security 2020, 66,606 honeypot lines): storms of hours, most campaigns rarely use a number twice, few
imitate the called party's exchange, numbers are dialled without selection. Their 2024 study ("Characterizing robocalls with multiple vantage
points"): attested calls as well. The harm is not the price of the calls; the loss here is 0.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.columns import hashed
from simulator.placing import moments, placed
from simulator.plan import Family, Plan
from simulator.town import CALLCENTRE, WHOLESALE, Town

CALLS = (4000, 1500, 500)
ANSWERED = 0.3
CALLS_PER_NUMBER_SHOWN = (1, 3, 12)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """A dialler with a recorded message: most who answer hang up within ten seconds."""
    n = CALLS[plan.stealth]
    place = rng.choice([town.places.of["AT", "mobile"], town.places.of["AT", "fixed"]], n)
    number = town.places.numbers(place, hashed(np.arange(n), plan.account, town.seed, 12))
    shown_place = np.full(n, town.places.of["AT", "fixed"])
    shown = town.places.numbers(shown_place, hashed(np.arange(n) // CALLS_PER_NUMBER_SHOWN[plan.stealth], plan.account, 13))
    talk_ms = (1000 * rng.lognormal(np.log(8.0), 0.8, n)).astype(np.int64).clip(800, 240_000)
    frame = placed(rng, town, plan, moments(rng, plan, n), place, number, talk_ms=talk_ms, answered=ANSWERED, callers=shown)
    return frame.with_columns(loss_eur=0.0)


FAMILY = Family("robocalls", (WHOLESALE, CALLCENTRE), (2, 5, 10), (0, 0, 0), make)
