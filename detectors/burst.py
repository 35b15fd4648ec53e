"""Burst: more money in a short time than the subject ever had reason to spend, weighed by where it goes.

Three levels, the same rule: an account, an a_number under it, and that pair with a b_number range. The narrower the subject, the lower
its line, so an attack is stopped by the narrowest block that covers it, and one that spreads out is caught by a wider one.

    weight = risk of the destination * concentration
    score  = weighted money in the half-life / max(floor, baseline_factor * the subject's own long average)

Concentration is what tells revenue share fraud from a dear call home: the fraudster owns a range and fills it. It is 0 for the only call of an
account into a range, grows with the square of the others, and is 1 from `CROWD` calls in the half-life on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from core.facts import UNPRICED
from core.policy import Policy
from detectors.columns import Columns
from detectors.decay import COLUMNS, FADING, FLOATS, HELD, INTS, decay, fade

LEVELS = ("account", "a_number", "b_range")
CROWD = 6.0
LEAST = 1e-9
"""A floor of 0 is this one: a score is always a number."""


class Sight(NamedTuple):
    """What each row of a frame sees of its subject of one level, itself and earlier rows: `decay.FLOATS` and `decay.INTS` as rows.

    Arrays beside the frame: they are looked into for the few rows that become findings.
    """

    floats: npt.NDArray[np.float64]
    ints: npt.NDArray[np.int64]

    def at(self, row: int, level: str) -> dict[str, float | int]:
        """As `<level>_<name>`."""
        found: dict[str, float | int] = {f"{level}_{name}": float(self.floats[at, row]) for at, name in enumerate(FLOATS)}
        return found | {f"{level}_{name}": int(self.ints[at, row]) for at, name in enumerate(INTS)}


def by_subject(state: Columns, frame: pl.DataFrame, level: str, policy: Policy) -> tuple[pl.DataFrame, Sight]:
    """Add `<level>_score`, and tell what each row sees of its subject."""
    n = frame.height
    floats, ints = np.zeros((len(FLOATS), n)), np.zeros((len(INTS), n), np.int64)
    if n:
        # Where nobody knows a price, minutes stand in at a nominal one: a feed without money is still watched.
        unpriced = frame["minutes"] * policy.unpriced_per_min * (frame["currency"] == "").cast(pl.Float64)
        money = frame["nanos"] * 1e-9
        if policy.units:
            money = money / frame["currency"].replace_strict(policy.units, default=1.0, return_dtype=pl.Float64)
        risky = (money + unpriced) * frame["weight"]
        places = state.places(frame[f"k_{level}"].to_list())
        state["partition"][places], state["home"][places] = frame["partition"].to_numpy(), frame["home"].to_numpy()
        decay(
            places,
            frame["t_ms"].to_numpy(), frame["started_ms"].to_numpy(), frame["nanos"].to_numpy(), risky.to_numpy(),
            frame["talk_ms"].to_numpy(), frame["calls"].to_numpy(), frame["b_code"].to_numpy(),
            policy.half_life_s * 1000, policy.baseline_half_life_s * 1000,
            *(state[name] for name in HELD),
            floats,
            ints,
        )  # fmt: skip
    score = floats[0] / np.maximum(floor_of(level, policy), policy.baseline_factor * floats[1])
    return frame.with_columns(pl.Series(f"{level}_score", score)), Sight(floats, ints)


def floor_of(level: str, policy: Policy) -> float:
    """The weighted money under which nobody of a level is suspicious."""
    floors = {
        "account": policy.account_floor, "a_number": policy.a_number_floor, "b_range": policy.b_range_floor,
        UNPRICED: policy.unpriced_floor,
    }  # fmt: skip
    return max(floors[level], LEAST)


KEPT_MS = 6 * 3_600_000
"""A subject that was silent for so long has nothing left in its short sums (2**-24); it stays for its long average alone, if that matters."""


def forget(state: dict[str, Columns], partition: int, at_ms: int, policy: Policy) -> None:
    """Drop the faded subjects of a partition: callers choose a_numbers, and memory must not be theirs to fill.

    Called at the ticks that begin an hour, so that it does not depend on how the stream was cut.
    """
    for name, columns in state.items():
        n = len(columns)
        gap_ms = at_ms - columns["t_ms"][:n]
        matters = gap_ms < KEPT_MS
        if name in (*LEVELS, UNPRICED):
            usual = columns["usual"][:n] * 2.0 ** (-np.maximum(gap_ms, 0) / (policy.baseline_half_life_s * 1000))
            usual *= policy.half_life_s / policy.baseline_half_life_s
            matters |= policy.baseline_factor * usual > 0.05 * floor_of(name, policy)
        columns.keep(matters | (columns["partition"][:n] != partition))


def concentrate(state: Columns, frame: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Add `range_calls`, the calls of the account into the range in the half-life, and multiply `weight` by the concentration."""
    calls = np.zeros(frame.height)
    if frame.height:
        places = state.places(frame["k_range"].to_list())
        state["partition"][places], state["home"][places] = frame["partition"].to_numpy(), frame["home"].to_numpy()
        fade(
            places, frame["t_ms"].to_numpy(), frame["calls"].to_numpy(), policy.half_life_s * 1000,
            state["t_ms"], state["calls"], calls,
        )  # fmt: skip
    concentration = np.clip((calls - 1.0) / (CROWD - 1.0), 0.0, 1.0) ** 2
    return frame.with_columns(pl.Series("range_calls", calls), (pl.col("weight") * pl.Series(concentration)).alias("weight"))


def new_state() -> dict[str, Columns]:
    """Empty columns per level, and of what crowds: a range under an account, and an account's numbers that cannot be read or priced."""
    return {level: Columns(COLUMNS) for level in (*LEVELS, UNPRICED)} | {"range": Columns(FADING), "unpriced_crowd": Columns(FADING)}
