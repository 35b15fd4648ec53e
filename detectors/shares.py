"""What the calls of an account are like, now and in the week before: shares that change when somebody else's traffic comes in over it.

Callers whose number does not exist, callers of the called country, calls given up at once, very short ones. One recurrence over an account's rows
in the order of arrival, with two half-lives; a detector compares a share now with the share of the week (`changed`), by the likelihood of so many
of so many: few calls prove nothing, however odd they are. What is odd now is not learnt from, or only by a twentieth: else an attack of hours is
its own normal, and an account whose customers have changed for good is odd for ever.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from core.numbers import E164_KINDS
from detectors.columns import Columns
from detectors.destination import code_of
from detectors.evidence import Floats, Part
from detectors.profile import DAY_MS
from detectors.protocol import Feature
from detectors.risk import UNALLOCATED, risk_of

NOW_MS, WEEK_MS = 7_200_000.0, 7.0 * DAY_MS
KINDS = {
    "calls": "calls",
    "bad": "calls from numbers that do not exist",
    "own": "calls from the called country's own numbers, where it is not the country of most of the account's callers",
    "ends": "calls that ended",
    "answers": "answered calls that ended",
    "shorts": "answered calls of a few seconds",
    "rings": "calls that were given up at once",
}
NAMES = {name: f"{what} now: decayed by two hours" for name, what in KINDS.items()} | {
    f"week_{name}": f"{what}, decayed by a week" for name, what in KINDS.items()
}
AT = {name: at for at, name in enumerate(NAMES)}
LEAST_BEFORE = 30
"""Calls before which no share of an account is known."""
SHORTS, RINGS = 0.3, 0.2
"""Shares that are ordinary at most, for an account of which nothing is known yet."""
LEAST_ODD, LEARNT = 5, 0.05
"""From so many odd calls on, what comes is learnt by this part only."""
STATE: dict[str, Any] = {"t_ms": np.int64, **dict.fromkeys(NAMES, np.float64), "home_code": np.int64, "home_lead": np.float64}


def share_rows(
    slot: Any, t_ms: Any, added: Any, code: Any, now_ms: Any, week_ms: Any, s_t_ms: Any, now: Any, week: Any, home: Any, lead: Any, out: Any
) -> None:
    """Add each row's counts (a column per kind) to its account's sums; a late row has faded already. `code`: the country code of the caller, 0 =
    unknown; `home` and `lead`: which one leads all others, and by how much (majority vote of Boyer and Moore)."""
    kinds = added.shape[1]
    pairs = ((1, 0, 2.0), (2, 0, 2.0), (5, 4, SHORTS), (6, 3, RINGS))  # bad and own of calls, shorts of answers, rings of ends
    for i in range(len(slot)):
        p = slot[i]
        gap = t_ms[i] - s_t_ms[p]
        fast, slow = 2.0 ** (-abs(gap) / now_ms), 2.0 ** (-abs(gap) / week_ms)
        if added[i, 2] and code[i] == home[p] and lead[p] >= 0.5 * week[0][p]:
            added[i, 2] = 0.0
        for k in range(kinds):
            now[k][p] = now[k][p] * fast + added[i, k] if gap >= 0 else now[k][p] + added[i, k] * fast
        learnt = 1.0
        for n, of, unknown in pairs:
            before = 1.2 * (week[n][p] + 1.0) / (week[of][p] + 20.0) if week[of][p] >= LEAST_BEFORE else unknown
            if now[n][p] >= LEAST_ODD and now[n][p] > (0.05 + before) * now[of][p]:
                learnt = LEARNT
        for k in range(kinds):
            week[k][p] = week[k][p] * slow + added[i, k] * learnt if gap >= 0 else week[k][p] + added[i, k] * slow * learnt
            out[i, k], out[i, kinds + k] = now[k][p], week[k][p]
        if gap >= 0:
            s_t_ms[p] = t_ms[i]
            lead[p] *= slow
        if added[i, 0] and code[i]:
            if code[i] == home[p]:
                lead[p] += learnt
            elif lead[p] < learnt:
                home[p], lead[p] = code[i], learnt - lead[p]
            else:
                lead[p] -= learnt


shared: Any = numba.njit(cache=True)(share_rows)


def update(state: dict[str, Columns], frame: pl.DataFrame, secret: bytes) -> pl.DataFrame:
    """Add `shares`: the numbers of `NAMES` of the row's account, that row included."""
    calls, final = frame["calls"].to_numpy(), frame["final"].to_numpy().astype(np.float64)
    bad, own, codes = _callers(frame)
    answered = final * frame["answered"].to_numpy()
    added = np.column_stack([calls, bad, own, final, answered, frame["shorts"].to_numpy(), frame["rings"].to_numpy()]).astype(np.float64)
    columns, out = state["account"], np.zeros((frame.height, len(NAMES)))
    slots = columns.enter(frame, "k_account")
    now, week = tuple(columns[name] for name in KINDS), tuple(columns[f"week_{name}"] for name in KINDS)
    home = columns["home_code"], columns["home_lead"]
    shared(slots, frame["t_ms"].to_numpy(), added, codes, NOW_MS, WEEK_MS, columns["t_ms"], now, week, *home, out)
    columns["until_ms"][slots] = columns["t_ms"][slots] + 30 * DAY_MS
    return frame.hstack([pl.Series("shares", out), pl.Series("odd_cli", added[:, 1] + added[:, 2])])


def _callers(frame: pl.DataFrame) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """1 where the caller of a call's first row does not exist, and where it is of the called country; and its country code. A withheld caller is
    neither."""
    bad, own, codes = np.zeros(frame.height), np.zeros(frame.height), np.zeros(frame.height, np.int64)
    callers, kinds, numbers = frame["a_number"].to_list(), frame["a_kind"].to_list(), frame["b_number"].to_list()
    for row in np.flatnonzero(frame["calls"].to_numpy()).tolist():
        a_number, b_number = callers[row], numbers[row]
        if kinds[row] in E164_KINDS and a_number:
            bad[row] = risk_of(a_number).kind == UNALLOCATED
            code = code_of(a_number)
            codes[row], own[row] = int(code or 0), len(b_number) > 8 and code == code_of(b_number)
        else:
            bad[row] = kinds[row] == "invalid"
    return bad, own, codes


def numbers(frame: pl.DataFrame, name: str) -> Floats:
    """One number of `NAMES` in every row."""
    column: Floats = frame["shares"].to_numpy()[:, AT[name]]
    return column


def changed(
    values: Any, code: str, name: str, of: str, most: float, factor: float = 0.3, floor: float = 0.02, unknown: float = 1.0
) -> Part:
    """A share now against the most that it was before (95 %, Wilson): the log-likelihood of so many of so many, times `factor`, at most `most`.

    `values`: rows of `shares`; `floor`: the least normal share, because a share of nothing at all was luck;
    `unknown`: the most that is ordinary anywhere, for an account with too few calls before (1 = nothing is known then).

    >>> before, now = dict(week_calls=1000, week_own=10), dict(calls=100, own=30)
    >>> rows = np.asarray([[(before | now).get(name, 0) for name in NAMES]], float)
    >>> part = changed(rows, "own_cli", "own", "calls", 9.0)
    >>> round(float(part.value[0]), 2), round(float(part.normal[0]), 3), round(float(part.points[0]), 1)
    (0.3, 0.02, 9.0)
    """
    table = np.asarray(values)
    n, whole = table[:, AT[name]], np.maximum(table[:, AT[of]], 1e-9)
    earlier_n, earlier = table[:, AT[f"week_{name}"]], np.maximum(table[:, AT[f"week_{of}"]], 1e-9)
    share = np.clip(earlier_n / earlier, 0.0, 1.0)
    squared = 1.96**2 / earlier
    upper = (share + squared / 2 + 1.96 * np.sqrt(share * (1 - share) / earlier + squared / (4 * earlier))) / (1 + squared)
    now, normal = np.clip(n / whole, 0.001, 0.999), np.where(earlier < LEAST_BEFORE, unknown, np.clip(upper, floor, 0.98))
    normal = np.minimum(normal, 0.99)
    gain = whole * (now * np.log(now / normal) + (1 - now) * np.log((1 - now) / (1 - normal)))
    more = (now > 1.5 * normal) & (now > normal + 0.1)
    return Part(code, np.where(more, np.clip(factor * gain, 0.0, most), 0.0), now, normal)



FEATURE = Feature(
    name="shares",
    about="which shares of an account's calls have invented or local callers, are given up at once or very short, now and in the week before",
    needs=("t_ms", "calls", "final", "answered", "shorts", "rings", "a_number", "a_kind", "b_number", "k_account", "partition", "home"),
    adds={"shares": NAMES, "odd_cli": {}},
    state={"account": STATE},
    update=update,
)
