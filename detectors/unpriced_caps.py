"""Hard caps for an account's calls to numbers that cannot be read, or that no rate deck prices: answered calls, talk time, concurrent calls."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import polars as pl

from core.config import UnpricedCaps
from core.facts import UNPRICED
from detectors.caps import NOT_COUNTED, STAYS_MS, facts, hits_over, rows_with
from detectors.columns import FOR_EVER, Columns, column_of
from detectors.protocol import Detector, Hit, Limits, NoParameters

COLUMNS: dict[str, Any] = {
    "hour": np.int64,
    "hour_calls": np.int64,
    "hour_talk_ms": np.int64,
    "active": np.int64,
}

CAP_NAMES = ("calls_hour", "minutes_hour", "concurrent_calls")


def count_rows(
    slot: Any, t_ms: Any, answers: Any, talk_ms: Any, active: Any, s_hour: Any, s_hour_calls: Any, s_hour_talk_ms: Any, s_active: Any, values: Any
) -> None:
    """As `caps.count_rows`, for answered calls and their talk time."""
    for i in range(len(slot)):
        p = slot[i]
        hour = t_ms[i] // 3_600_000
        if hour > s_hour[p]:
            s_hour[p], s_hour_calls[p], s_hour_talk_ms[p] = hour, 0, 0
        if hour == s_hour[p]:
            s_hour_calls[p] += answers[i]
            s_hour_talk_ms[p] += talk_ms[i]
        s_active[p] += active[i]
        values[i, 0], values[i, 1], values[i, 2] = s_hour_calls[p], s_hour_talk_ms[p], s_active[p]


count: Any = numba.njit(cache=True)(count_rows)


def update(state: dict[str, Columns], frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> pl.DataFrame:
    """Add `cap_unpriced`, the values of `CAP_NAMES`: NOT_COUNTED, or no column, where the account has no such caps or the number a price."""
    rows = rows_with(frame, limits.unpriced_caps)
    rows = rows[frame["k_unpriced"].to_numpy()[rows] != 0]
    if not len(rows):
        return frame
    columns, values = state[UNPRICED], np.zeros((len(rows), len(CAP_NAMES)), np.int64)
    slots = columns.enter(frame, "k_unpriced", rows)
    t_ms, talk_ms, odd, answers, active = (frame[n].to_numpy()[rows] for n in ("t_ms", "talk_ms", "odd", "odd_answers", "odd_active"))
    # A row that can be priced after all only ends its call here: its talk time is money like any other.
    count(slots, t_ms, answers, talk_ms * (odd != 0), active, *(columns[name] for name in COLUMNS), values)
    columns["until_ms"][slots] = np.where(columns["active"][slots] > 0, FOR_EVER, (columns["hour"][slots] + 1) * 3_600_000 + STAYS_MS)
    return frame.hstack([column_of("cap_unpriced", frame.height, rows, values, NOT_COUNTED)])


def findings(frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> list[Hit]:
    """The rows over a cap."""
    return hits_over(frame, UNPRICED, "cap_unpriced", CAP_NAMES, limits.unpriced_caps, limits_of)


def limits_of(caps: UnpricedCaps) -> tuple[int | None, ...]:
    """The limits in the order of `CAP_NAMES`, talk time in milliseconds; None = no limit.

    >>> limits_of(UnpricedCaps(calls_hour=5, minutes_hour=2))
    (5, 120000, None)
    """
    return caps.calls_hour, None if caps.minutes_hour is None else caps.minutes_hour * 60_000, caps.concurrent_calls


DETECTOR = Detector(
    name="unpriced_caps",
    about="an account's calls to numbers that cannot be read or priced exceed a cap that the operator set: answered calls or minutes per "
    "clock hour of UTC, concurrent calls",
    needs=(
        "tenant", "account", "ingress_trunk", "a_number", "t_ms", "talk_ms", "odd", "odd_answers", "odd_active", "k_unpriced", "partition", "home",
    ),
    state={UNPRICED: COLUMNS},
    update=update,
    findings=findings,
    facts=facts,
)  # fmt: skip
