"""Call looping: a call that was sent out comes back in, again and again, and every passage is billed.

Wrong or malicious routing sends a call in a circle of carriers: the same two numbers enter within seconds, each passage inside the one before
it, with growing delays, until a hop limit ends it (GSMA FF.21, "call looping"; RFC 5393 on amplification by loops; i3forum). The loss is the
price of each passage.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.placing import moments, placed
from simulator.plan import Family, Plan
from simulator.town import WHOLESALE, Town

CALLS = (160, 90, 50)
PASSAGES = (20, 10, 4)


def make(rng: np.random.Generator, town: Town, plan: Plan) -> pl.DataFrame:
    """Calls to one destination; each passes several times, the inner passages shorter by their delay."""
    calls, most = CALLS[plan.stealth], PASSAGES[plan.stealth]
    begin = moments(rng, plan, calls)
    place = town.places.of[str(rng.choice(["NG", "ID", "IN", "EG"])), "mobile"]
    passages = rng.integers(max(most // 2, 2), most + 1, calls)
    one = np.repeat(np.arange(calls), passages)
    nth = np.arange(len(one)) - np.repeat(np.cumsum(passages) - passages, passages)
    delay_ms = rng.integers(250, 900, calls)[one]
    setup_ms = begin[one] + nth * delay_ms
    number = town.places.numbers(np.full(calls, place), rng.integers(0, 2**62, calls).astype(np.uint64))[one]
    callers = town.callers(plan.account)[rng.integers(0, town.size[plan.account], calls)][one]
    talk_ms = (1000 * rng.lognormal(np.log(40), 0.7, calls)).astype(np.int64)[one] - nth * 20
    frame = placed(rng, town, plan, setup_ms, place, number, talk_ms=talk_ms.clip(500), answered=1.2, callers=callers, ring_s=9.0)
    return frame.with_columns(pdd_ms=pl.col("pdd_ms") + pl.Series((passages[one] - nth) * delay_ms)).sort("setup_ms")


FAMILY = Family("call_looping", (WHOLESALE,), (1, 3, 8), (0, 0, 0), make)
