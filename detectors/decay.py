"""Decayed sums: a recurrence over a subject's rows in the order of arrival, equal under any cut of the stream.

One plain loop, compiled by numba; its uncompiled self (`decay_rows`) is the model in the tests. The closed form of a decayed sum
over a whole frame is numerically wrong, and is not used.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

COLUMNS: dict[str, Any] = {
    "t_ms": np.int64,  # of the latest row
    "weighted": np.float64,  # money times risk and concentration, decayed by the short half-life
    "money": np.float64,
    "minutes": np.float64,
    "calls": np.float64,
    "usual": np.float64,  # weighted money decayed by the long half-life
    "since_ms": np.int64,  # of the first row
    "sum_nanos": np.int64,  # exact, never decayed
    "sum_calls": np.int64,
    "partition": np.int32,
    "home": np.int64,  # core.partition.home_of
}


def decay_rows(
    place: Any, t_ms: Any, nanos: Any, risky: Any, minutes: Any, calls: Any, half_ms: Any, long_half_ms: Any,
    s_t_ms: Any, s_weighted: Any, s_money: Any, s_minutes: Any, s_calls: Any, s_usual: Any, s_since_ms: Any, s_sum_nanos: Any, s_sum_calls: Any,
    o_weighted: Any, o_money: Any, o_minutes: Any, o_calls: Any, o_usual: Any, o_sum_nanos: Any, o_sum_calls: Any,
) -> None:  # fmt: skip
    """Add rows to their subjects; `o_*` get what each row sees: itself and earlier rows. `o_usual` is what the short sum would be
    at the subject's long average, this row left out."""
    for i in range(len(place)):
        p = place[i]
        money = nanos[i] * 1e-9
        weighted = risky[i]
        if s_since_ms[p] == 0:
            s_since_ms[p] = t_ms[i]
            s_t_ms[p] = t_ms[i]
        gap = t_ms[i] - s_t_ms[p]
        o_usual[i] = s_usual[p] * 2.0 ** (-max(gap, 0) / long_half_ms) * (half_ms / long_half_ms)
        if gap >= 0:
            short = 2.0 ** (-gap / half_ms)
            s_weighted[p] = s_weighted[p] * short + weighted
            s_money[p] = s_money[p] * short + money
            s_minutes[p] = s_minutes[p] * short + minutes[i]
            s_calls[p] = s_calls[p] * short + calls[i]
            s_usual[p] = s_usual[p] * 2.0 ** (-gap / long_half_ms) + weighted
            s_t_ms[p] = t_ms[i]
        else:  # a late row has faded already
            short = 2.0 ** (gap / half_ms)
            s_weighted[p] += weighted * short
            s_money[p] += money * short
            s_minutes[p] += minutes[i] * short
            s_calls[p] += calls[i] * short
            s_usual[p] += weighted * 2.0 ** (gap / long_half_ms)
        s_sum_nanos[p] += nanos[i]
        s_sum_calls[p] += calls[i]
        o_weighted[i] = s_weighted[p]
        o_money[i] = s_money[p]
        o_minutes[i] = s_minutes[p]
        o_calls[i] = s_calls[p]
        o_sum_nanos[i], o_sum_calls[i] = s_sum_nanos[p], s_sum_calls[p]


decay: Any = numba.njit(cache=True)(decay_rows)


FADING: dict[str, Any] = {"t_ms": np.int64, "calls": np.float64, "partition": np.int32, "home": np.int64}


def fade_rows(place: Any, t_ms: Any, calls: Any, half_ms: Any, s_t_ms: Any, s_calls: Any, o_calls: Any) -> None:
    """The same recurrence of a single count."""
    for i in range(len(place)):
        p = place[i]
        gap = t_ms[i] - s_t_ms[p]
        if gap >= 0:
            s_calls[p] = s_calls[p] * 2.0 ** (-gap / half_ms) + calls[i]
            s_t_ms[p] = t_ms[i]
        else:
            s_calls[p] += calls[i] * 2.0 ** (gap / half_ms)
        o_calls[i] = s_calls[p]


fade: Any = numba.njit(cache=True)(fade_rows)
