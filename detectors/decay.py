"""Decayed sums: a recurrence over a subject's rows in the order of arrival, equal under any cut of the stream.

One plain loop, compiled by numba; its uncompiled self (`decay_rows`) is the model in the tests. The closed form of a decayed sum
over a whole frame is numerically wrong, and is not used.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

STATE: dict[str, Any] = {
    "t_ms": np.int64,  # of the latest row
    "weighted": np.float64,  # money times risk and concentration, decayed by the short half-life
    "calls": np.float64,
    "usual": np.float64,  # weighted money decayed by the long half-life
    "usual_money": np.float64,  # money itself, likewise
    "since_ms": np.int64,  # of the first row
    "sum_nanos": np.int64,  # exact, never decayed
    "sum_calls": np.int64,
    "sum_talk_ms": np.int64,
    "top": np.int64,  # the number (detectors.features: b_code) whose weighted money leads that of all others
    "lead": np.float64,  # by how much, decayed by the short half-life
    # Exact sums of the last while: of the window that runs, and of the one before it.
    "begin_ms": np.int64,
    "begin_nanos": np.int64,
    "begin_calls": np.int64,
    "begin_talk_ms": np.int64,
    "before_ms": np.int64,
    "before_nanos": np.int64,
    "before_calls": np.int64,
    "before_talk_ms": np.int64,
}

DECAYED = tuple(STATE)
"""What `decay` reads and writes, in its order."""

FLOATS = ("weighted", "usual", "usual_money", "calls", "lead")
INTS = ("sum_nanos", "sum_calls", "sum_talk_ms", "since_ms", "top", "began_ms", "now_nanos", "now_calls", "now_talk_ms")
"""What each row sees of its subject, itself and earlier rows: columns of the arrays that `decay` fills. `began_ms` and `now_*` are of the two
windows together: from when on, and the exact sums since then."""


def decay_rows(
    slot: Any, t_ms: Any, started_ms: Any, nanos: Any, risky: Any, talk_ms: Any, calls: Any, number: Any, half_ms: Any, long_half_ms: Any,
    s_t_ms: Any, s_weighted: Any, s_calls: Any, s_usual: Any, s_usual_money: Any, s_since_ms: Any, s_sum_nanos: Any, s_sum_calls: Any,
    s_sum_talk_ms: Any, s_top: Any, s_lead: Any, s_begin_ms: Any, s_begin_nanos: Any, s_begin_calls: Any, s_begin_talk_ms: Any,
    s_before_ms: Any, s_before_nanos: Any, s_before_calls: Any, s_before_talk_ms: Any,
    floats: Any, ints: Any,
) -> None:  # fmt: skip
    """Add rows to their subjects; `floats` and `ints` get what each row sees. `usual` is what the short sum would be at the subject's long
    average, this row left out.

    Two windows of two half-lives each follow one another: a row that comes later than that begins the next one, and after a silence of a
    half-life both begin anew. `top` is the majority vote of Boyer and Moore with money for votes: where one number has more than half of
    what the short sum holds, that is it.
    """
    window_ms = 2 * half_ms
    for i in range(len(slot)):
        p = slot[i]
        money = nanos[i] * 1e-9
        weighted = risky[i]
        t = t_ms[i]
        if s_since_ms[p] == 0:
            s_since_ms[p] = t
            s_t_ms[p] = t
        gap = t - s_t_ms[p]
        floats[i, 1] = s_usual[p] * 2.0 ** (-max(gap, 0) / long_half_ms) * (half_ms / long_half_ms)
        if gap >= 0:
            short = 2.0 ** (-gap / half_ms)
            long = 2.0 ** (-gap / long_half_ms)
            s_weighted[p] = s_weighted[p] * short + weighted
            s_calls[p] = s_calls[p] * short + calls[i]
            s_lead[p] *= short
            s_usual[p] = s_usual[p] * long + weighted
            s_usual_money[p] = s_usual_money[p] * long + money
            s_t_ms[p] = t
            ran = t - s_begin_ms[p]
            if s_begin_ms[p] == 0 or gap >= half_ms or ran >= 2 * window_ms:
                s_before_ms[p], s_before_nanos[p], s_before_calls[p], s_before_talk_ms[p] = 0, 0, 0, 0
                s_begin_ms[p], s_begin_nanos[p], s_begin_calls[p], s_begin_talk_ms[p] = 0, 0, 0, 0
            elif ran >= window_ms:
                s_before_ms[p], s_before_nanos[p] = s_begin_ms[p], s_begin_nanos[p]
                s_before_calls[p], s_before_talk_ms[p] = s_begin_calls[p], s_begin_talk_ms[p]
                s_begin_ms[p], s_begin_nanos[p], s_begin_calls[p], s_begin_talk_ms[p] = t, 0, 0, 0
            if s_begin_ms[p] == 0:  # its first call began before its first row did, where a row is a whole call
                s_begin_ms[p] = min(t, max(started_ms[i], t - int(window_ms)))
        else:  # a late row has faded already
            short = 2.0 ** (gap / half_ms)
            long = 2.0 ** (gap / long_half_ms)
            s_weighted[p] += weighted * short
            s_calls[p] += calls[i] * short
            s_usual[p] += weighted * long
            s_usual_money[p] += money * long
            weighted *= short
        if number[i] == s_top[p]:
            s_lead[p] += weighted
        elif weighted > s_lead[p]:
            s_top[p], s_lead[p] = number[i], weighted - s_lead[p]
        else:
            s_lead[p] -= weighted
        s_sum_nanos[p] += nanos[i]
        s_sum_calls[p] += calls[i]
        s_sum_talk_ms[p] += talk_ms[i]
        s_begin_nanos[p] += nanos[i]
        s_begin_calls[p] += calls[i]
        s_begin_talk_ms[p] += talk_ms[i]
        floats[i, 0], floats[i, 2], floats[i, 3], floats[i, 4] = s_weighted[p], s_usual_money[p], s_calls[p], s_lead[p]
        ints[i, 0], ints[i, 1], ints[i, 2] = s_sum_nanos[p], s_sum_calls[p], s_sum_talk_ms[p]
        ints[i, 3], ints[i, 4] = s_since_ms[p], s_top[p]
        ints[i, 5] = s_before_ms[p] if s_before_ms[p] else s_begin_ms[p]
        ints[i, 6] = s_before_nanos[p] + s_begin_nanos[p]
        ints[i, 7] = s_before_calls[p] + s_begin_calls[p]
        ints[i, 8] = s_before_talk_ms[p] + s_begin_talk_ms[p]


decay: Any = numba.njit(cache=True)(decay_rows)


FADING: dict[str, Any] = {"t_ms": np.int64, "calls": np.float64}


def fade_rows(slot: Any, t_ms: Any, calls: Any, half_ms: Any, s_t_ms: Any, s_calls: Any, o_calls: Any) -> None:
    """The same recurrence of a single count."""
    for i in range(len(slot)):
        p = slot[i]
        gap = t_ms[i] - s_t_ms[p]
        if gap >= 0:
            s_calls[p] = s_calls[p] * 2.0 ** (-gap / half_ms) + calls[i]
            s_t_ms[p] = t_ms[i]
        else:
            s_calls[p] += calls[i] * 2.0 ** (gap / half_ms)
        o_calls[i] = s_calls[p]


fade: Any = numba.njit(cache=True)(fade_rows)


def fade_many_rows(slot: Any, t_ms: Any, added: Any, half_ms: Any, s_t_ms: Any, sums: Any, out: Any) -> None:
    """The same of several numbers at once: a column of `added`, and of `out`, per state column of `sums`."""
    for i in range(len(slot)):
        p = slot[i]
        gap = t_ms[i] - s_t_ms[p]
        share = 2.0 ** (-abs(gap) / half_ms)
        for k in range(len(sums)):
            sums[k][p] = sums[k][p] * share + added[i, k] if gap >= 0 else sums[k][p] + added[i, k] * share
            out[i, k] = sums[k][p]
        if gap >= 0:
            s_t_ms[p] = t_ms[i]


fade_many: Any = numba.njit(cache=True)(fade_many_rows)
