"""Hard caps: lines that an operator drew for an account, and for each destination under it. (What spans partitions: `detectors.overall`.)

Money an hour and a day count in the clock hours and days of UTC, in exact integers; a row of an hour that has passed is added to
no later one. Calls in flight are a running sum of +1 at the answer and -1 at the end; calls a second count setups in one event-time second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from core.config import Caps
from core.facts import UNPRICED, Facts
from core.money import in_range
from detectors.columns import FOR_EVER, Columns, column_of
from detectors.destination import country_name
from detectors.protocol import Case, Detector, Hit, Limits, NoParameters, Owner

COLUMNS: dict[str, Any] = {
    "hour": np.int64,
    "hour_nanos": np.int64,
    "day": np.int64,
    "day_nanos": np.int64,
    "second": np.int64,
    "second_calls": np.int64,
    "flying": np.int64,
}

WATCHED = ("account", "destination")
LINES = ("money_hour", "money_day", "concurrent_calls", "calls_per_second")
NO_LINE, NOT_COUNTED = np.iinfo(np.int64).max, np.iinfo(np.int64).min

STAYS_MS = 2 * 86_400_000
"""How long a subject without calls in flight is remembered after its latest day: a later row of that day must find what was spent in it."""

Ints = npt.NDArray[np.int64]
Lines = TypeVar("Lines")


def count_rows(
    slot: Any, t_ms: Any, nanos: Any, calls: Any, flying: Any,
    s_hour: Any, s_hour_nanos: Any, s_day: Any, s_day_nanos: Any, s_second: Any, s_second_calls: Any, s_flying: Any, seen: Any,
) -> None:  # fmt: skip
    """Add rows to their subjects; `seen` gets what each row sees, itself and earlier rows: one row per row, columns as `LINES`."""
    for i in range(len(slot)):
        p = slot[i]
        hour, day, second = t_ms[i] // 3_600_000, t_ms[i] // 86_400_000, t_ms[i] // 1000
        if hour > s_hour[p]:
            s_hour[p], s_hour_nanos[p] = hour, 0
        if hour == s_hour[p]:
            s_hour_nanos[p] += nanos[i]
        if day > s_day[p]:
            s_day[p], s_day_nanos[p] = day, 0
        if day == s_day[p]:
            s_day_nanos[p] += nanos[i]
        if second > s_second[p]:
            s_second[p], s_second_calls[p] = second, 0
        if second == s_second[p]:
            s_second_calls[p] += calls[i]
        s_flying[p] += flying[i]
        seen[i, 0], seen[i, 1], seen[i, 2], seen[i, 3] = s_hour_nanos[p], s_day_nanos[p], s_flying[p], s_second_calls[p]


count: Any = numba.njit(cache=True)(count_rows)


def update(state: dict[str, Columns], frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> pl.DataFrame:
    """Add `cap_account` and `cap_destination`: the values of `LINES`; NOT_COUNTED, or no column, where the account has no such caps."""
    for watched in WATCHED:
        rows = rows_with(frame, limits.caps.get(watched, {}))
        if not len(rows):
            continue
        columns, seen = state[watched], np.zeros((len(rows), len(LINES)), np.int64)
        slots = columns.enter(frame, f"k_{watched}", rows)
        count(slots, *(frame[n].to_numpy()[rows] for n in ("t_ms", "nanos", "calls", "flying")), *(columns[n] for n in COLUMNS), seen)
        columns["until_ms"][slots] = np.where(columns["flying"][slots] > 0, FOR_EVER, (columns["day"][slots] + 1) * 86_400_000 + STAYS_MS)
        frame = frame.hstack([column_of(f"cap_{watched}", frame.height, rows, seen, NOT_COUNTED)])
    return frame


def findings(frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> list[Hit]:
    """The rows over a line. A cap of one destination only warns."""
    return [
        hit
        for watched in WATCHED
        for hit in over(frame, watched, f"cap_{watched}", LINES, limits.caps.get(watched, {}), lines_of, "destination" * (watched == "destination"))
    ]


def lines_of(caps: Caps) -> tuple[int | None, ...]:
    """The lines of a cap as `LINES`; None = no line.

    >>> lines_of(Caps(money_hour_nanos=5, concurrent_calls=2))
    (5, None, 2, None)
    """
    return caps.money_hour_nanos, caps.money_day_nanos, caps.concurrent_calls, caps.calls_per_second


def crossed(names: Sequence[str], values: Sequence[int], lines: Sequence[int | None]) -> list[tuple[str, int, int]]:
    """The lines that these values are over: (which, the value, the line).

    >>> crossed(LINES, [6, 6, 2, 9], lines_of(Caps(money_hour_nanos=5, concurrent_calls=2)))
    [('money_hour', 6, 5)]
    """
    return [(name, value, line) for name, value, line in zip(names, values, lines, strict=True) if line is not None and value > line]


# --- shared with the other detectors of lines that an operator drew ---


def rows_with(frame: pl.DataFrame, owners: Collection[Owner]) -> Ints:
    """The rows of accounts among `owners`."""
    if not owners:
        return np.zeros(0, np.int64)
    of = zip(frame["tenant"].to_list(), frame["account"].to_list(), strict=True)
    return np.asarray([row for row, owner in enumerate(of) if owner in owners], np.int64)


def over(
    frame: pl.DataFrame, watched: str, column: str, names: Sequence[str], caps: Mapping[Owner, Lines], lines_of: Any, no_block: str = ""
) -> list[Hit]:
    """The rows whose values in `column` are over a line of their account's caps. `names`: of the lines."""
    if column not in frame.columns:
        return []
    owners = list(zip(frame["tenant"].to_list(), frame["account"].to_list(), strict=True))
    none = [NO_LINE] * len(names)
    drawn = {
        owner: [NO_LINE if line is None else line for line in lines_of(caps[owner])] if owner in caps else none for owner in set(owners)
    }
    values = frame[column].to_numpy()
    lines = np.asarray([drawn[owner] for owner in owners], np.int64)
    hits = []
    for at, which in np.argwhere(values > lines).tolist():
        value, line, name = int(values[at, which]), int(lines[at, which]), names[which]
        score = value / line if line else 1.0
        hits.append(Hit(at, f"cap_{name}", watched, score, no_block, cap=name, value=value, limit=line))
    return hits


def facts(case: Case, parameters: NoParameters) -> Facts:
    """Of a line that was crossed."""
    row, hit = case.row, case.hit
    country = row["country"] if hit.subject_kind == "destination" and row["country"] != "001" else ""
    return Facts(
        subject_kind=hit.subject_kind, account=row["account"], trunk="" if row["account"] else row["ingress_trunk"], a_number=row["a_number"],
        cap=hit.cap, value=in_range(hit.value), limit=hit.limit, currency=case.currency, country=country,
        country_name=country_name(country) if country else "", dialled=case.dialled if hit.subject_kind == UNPRICED else [],
    )  # fmt: skip


DETECTOR = Detector(
    name="caps",
    about="an account, or one country that it calls, is over a line that the operator drew: money per clock hour or day of UTC, calls at "
    "once, calls per second",
    needs=(
        "tenant", "account", "ingress_trunk", "a_number", "country", "t_ms", "nanos", "calls", "flying", "k_account", "k_destination",
        "partition", "home",
    ),
    state=dict.fromkeys(WATCHED, COLUMNS),
    update=update,
    findings=findings,
    facts=facts,
)  # fmt: skip
