"""Hard caps of an account's calls to numbers that cannot be read, or that no rate deck prices: answered calls, their talk, calls at once."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import polars as pl

from core.config import UnpricedCaps
from core.facts import UNPRICED
from detectors.caps import NOT_COUNTED, STAYS_MS, facts, over, rows_with
from detectors.columns import FOR_EVER, Columns, column_of
from detectors.protocol import Detector, Hit, Limits, NoParameters

COLUMNS: dict[str, Any] = {
    "hour": np.int64,
    "hour_calls": np.int64,
    "hour_talk_ms": np.int64,
    "flying": np.int64,
}

LINES = ("calls_hour", "minutes_hour", "concurrent_calls")


def count_rows(
    slot: Any, t_ms: Any, answers: Any, talk_ms: Any, flying: Any, s_hour: Any, s_hour_calls: Any, s_hour_talk_ms: Any, s_flying: Any, seen: Any
) -> None:
    """As `caps.count_rows`, of answered calls and their talk."""
    for i in range(len(slot)):
        p = slot[i]
        hour = t_ms[i] // 3_600_000
        if hour > s_hour[p]:
            s_hour[p], s_hour_calls[p], s_hour_talk_ms[p] = hour, 0, 0
        if hour == s_hour[p]:
            s_hour_calls[p] += answers[i]
            s_hour_talk_ms[p] += talk_ms[i]
        s_flying[p] += flying[i]
        seen[i, 0], seen[i, 1], seen[i, 2] = s_hour_calls[p], s_hour_talk_ms[p], s_flying[p]


count: Any = numba.njit(cache=True)(count_rows)


def update(state: dict[str, Columns], frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> pl.DataFrame:
    """Add `cap_unpriced`: the values of `LINES`; NOT_COUNTED, or no column, where the account has no such caps or the number has a price."""
    rows = rows_with(frame, limits.unpriced_caps)
    rows = rows[frame["k_unpriced"].to_numpy()[rows] != 0]
    if not len(rows):
        return frame
    columns, seen = state[UNPRICED], np.zeros((len(rows), len(LINES)), np.int64)
    slots = columns.enter(frame, "k_unpriced", rows)
    t_ms, talk_ms, odd, answers, flying = (frame[n].to_numpy()[rows] for n in ("t_ms", "talk_ms", "odd", "odd_answers", "odd_flying"))
    # Of a row that can be priced after all, only its end counts: what it talks for is money like any other.
    count(slots, t_ms, answers, talk_ms * (odd != 0), flying, *(columns[name] for name in COLUMNS), seen)
    columns["until_ms"][slots] = np.where(columns["flying"][slots] > 0, FOR_EVER, (columns["hour"][slots] + 1) * 3_600_000 + STAYS_MS)
    return frame.hstack([column_of("cap_unpriced", frame.height, rows, seen, NOT_COUNTED)])


def findings(frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> list[Hit]:
    """The rows over a line."""
    return over(frame, UNPRICED, "cap_unpriced", LINES, limits.unpriced_caps, lines_of)


def lines_of(caps: UnpricedCaps) -> tuple[int | None, ...]:
    """The lines of a cap as `LINES`, talk in milliseconds; None = no line.

    >>> lines_of(UnpricedCaps(calls_hour=5, minutes_hour=2))
    (5, 120000, None)
    """
    return caps.calls_hour, None if caps.minutes_hour is None else caps.minutes_hour * 60_000, caps.concurrent_calls


DETECTOR = Detector(
    name="unpriced_caps",
    about="an account's calls to numbers that cannot be read or priced are over a line that the operator drew: answered calls or minutes per "
    "clock hour of UTC, calls at once",
    needs=(
        "tenant", "account", "ingress_trunk", "a_number", "t_ms", "talk_ms", "odd", "odd_answers", "odd_flying", "k_unpriced", "partition", "home",
    ),
    state={UNPRICED: COLUMNS},
    update=update,
    findings=findings,
    facts=facts,
)  # fmt: skip
