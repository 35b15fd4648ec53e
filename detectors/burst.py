"""Burst: more money in a short time than the subject ever had reason to spend, weighed by where it goes.

Three levels, the same rule: an account, an a_number under it, and that pair with a b_number range. The narrower the subject, the lower
its line, so an attack is stopped by the narrowest block that covers it, and one that spreads out is caught by a wider one.

    weight = risk of the destination * concentration
    score  = weighted money in the half-life / max(floor, baseline_factor * the subject's own long average)

Concentration is what tells revenue share fraud from a dear call home: the fraudster owns a range and fills it. It is 0 for the only call of an
account into a range, grows with the square of the others, and is 1 from `CROWD` calls in the half-life on.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from core.config import Policy
from detectors.columns import Columns
from detectors.decay import COLUMNS, FADING, decay, fade

LEVELS = ("account", "a_number", "b_range")
CROWD = 6.0
LEAST = 1e-9
"""A floor of 0 is this one: a score is always a number."""


def by_subject(state: Columns, frame: pl.DataFrame, level: str, policy: Policy) -> pl.DataFrame:
    """Add `<level>_weighted`, `_money`, `_minutes`, `_calls`, `_usual` (money of the currency, minutes, calls in the half-life), the exact
    `_sum_nanos` and `_sum_calls` since ever, and `_score`. A row sees itself and earlier rows."""
    n = frame.height
    seen = [np.zeros(n) for _ in range(5)]
    sums = [np.zeros(n, np.int64) for _ in range(2)]
    # Where nobody knows a price, minutes stand in at a nominal one: a feed without money is still watched.
    unpriced = frame["minutes"] * policy.unpriced_per_min * (frame["currency"] == "").cast(pl.Float64)
    risky = (frame["nanos"] * 1e-9 + unpriced) * frame["weight"]
    if n:
        decay(
            state.places(frame[f"k_{level}"].to_list()),
            frame["t_ms"].to_numpy(), frame["nanos"].to_numpy(), risky.to_numpy(),
            frame["minutes"].to_numpy(), frame["calls"].to_numpy(),
            policy.half_life_s * 1000, policy.baseline_half_life_s * 1000,
            *(state[name] for name in ("t_ms", "weighted", "money", "minutes", "calls", "usual", "since_ms", "sum_nanos", "sum_calls")),
            *seen,
            *sums,
        )  # fmt: skip
    weighted, money, minutes, calls, usual = seen
    floor = {"account": policy.account_floor, "a_number": policy.a_number_floor, "b_range": policy.b_range_floor}[level]
    score = weighted / np.maximum(max(floor, LEAST), policy.baseline_factor * usual)
    return frame.with_columns(
        pl.Series(f"{level}_weighted", weighted),
        pl.Series(f"{level}_money", money),
        pl.Series(f"{level}_minutes", minutes),
        pl.Series(f"{level}_calls", calls),
        pl.Series(f"{level}_usual", usual),
        pl.Series(f"{level}_sum_nanos", sums[0]),
        pl.Series(f"{level}_sum_calls", sums[1]),
        pl.Series(f"{level}_score", score),
    )


def concentrate(state: Columns, frame: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Add `range_calls`, the calls of the account into the range in the half-life, and multiply `weight` by the concentration."""
    calls = np.zeros(frame.height)
    if frame.height:
        fade(
            state.places(frame["k_range"].to_list()), frame["t_ms"].to_numpy(), frame["calls"].to_numpy(), policy.half_life_s * 1000,
            state["t_ms"], state["calls"], calls,
        )  # fmt: skip
    concentration = np.clip((calls - 1.0) / (CROWD - 1.0), 0.0, 1.0) ** 2
    return frame.with_columns(pl.Series("range_calls", calls), (pl.col("weight") * pl.Series(concentration)).alias("weight"))


def new_state() -> dict[str, Columns]:
    """Empty columns a level."""
    return {level: Columns(COLUMNS) for level in LEVELS} | {"range": Columns(FADING)}
