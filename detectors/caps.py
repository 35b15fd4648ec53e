"""Hard caps that an operator set for an account, and for each destination under it. (Caps that span partitions: `detectors.overall`.)

Money per hour and per day is summed in exact integers by the clock hours and days of UTC; a row of a past hour is not added to a later one.
Active calls are a running sum of +1 at the answer and -1 at the end. Calls per second count the setups of one event-time second.
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
    "active": np.int64,
}

WATCHED = ("account", "destination")
CAP_NAMES = ("money_hour", "money_day", "concurrent_calls", "calls_per_second")
NO_LIMIT, NOT_COUNTED = np.iinfo(np.int64).max, np.iinfo(np.int64).min

STAYS_MS = 2 * 86_400_000
"""How long a subject without active calls is remembered after its latest day, for late rows of that day."""

Ints = npt.NDArray[np.int64]
AnyCaps = TypeVar("AnyCaps")


def count_rows(
    slot: Any, t_ms: Any, nanos: Any, calls: Any, active: Any,
    s_hour: Any, s_hour_nanos: Any, s_day: Any, s_day_nanos: Any, s_second: Any, s_second_calls: Any, s_active: Any, values: Any,
) -> None:  # fmt: skip
    """Add rows to their subjects; `values` gets the values of `CAP_NAMES` of each row's subject, including that row."""
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
        s_active[p] += active[i]
        values[i, 0], values[i, 1], values[i, 2], values[i, 3] = s_hour_nanos[p], s_day_nanos[p], s_active[p], s_second_calls[p]


count: Any = numba.njit(cache=True)(count_rows)


def update(state: dict[str, Columns], frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> pl.DataFrame:
    """Add `cap_account` and `cap_destination`, the values of `CAP_NAMES`: NOT_COUNTED, or no column, where the account has no such caps."""
    for watched in WATCHED:
        rows = rows_with(frame, limits.caps.get(watched, {}))
        if not len(rows):
            continue
        columns, values = state[watched], np.zeros((len(rows), len(CAP_NAMES)), np.int64)
        slots = columns.enter(frame, f"k_{watched}", rows)
        count(slots, *(frame[n].to_numpy()[rows] for n in ("t_ms", "nanos", "calls", "active")), *(columns[n] for n in COLUMNS), values)
        columns["until_ms"][slots] = np.where(columns["active"][slots] > 0, FOR_EVER, (columns["day"][slots] + 1) * 86_400_000 + STAYS_MS)
        frame = frame.hstack([column_of(f"cap_{watched}", frame.height, rows, values, NOT_COUNTED)])
    return frame


def findings(frame: pl.DataFrame, parameters: NoParameters, limits: Limits) -> list[Hit]:
    """The rows over a cap. A cap of one destination only warns."""
    return [
        hit
        for watched, no_block in (("account", ""), ("destination", "destination"))
        for hit in hits_over(frame, watched, f"cap_{watched}", CAP_NAMES, limits.caps.get(watched, {}), limits_of, no_block)
    ]


def limits_of(caps: Caps) -> tuple[int | None, ...]:
    """The limits in the order of `CAP_NAMES`; None = no limit.

    >>> limits_of(Caps(money_hour_nanos=5, concurrent_calls=2))
    (5, None, 2, None)
    """
    return caps.money_hour_nanos, caps.money_day_nanos, caps.concurrent_calls, caps.calls_per_second


def exceeded(values: Sequence[int], limits: Sequence[int | None]) -> list[tuple[str, int, int]]:
    """The caps that these values exceed: (name, value, limit).

    >>> exceeded([6, 6, 2, 9], limits_of(Caps(money_hour_nanos=5, concurrent_calls=2)))
    [('money_hour', 6, 5)]
    """
    every = zip(CAP_NAMES, values, limits, strict=True)
    return [(name, value, limit) for name, value, limit in every if limit is not None and value > limit]


# --- shared by the detectors of caps ---


def rows_with(frame: pl.DataFrame, owners: Collection[Owner]) -> Ints:
    """The rows of accounts among `owners`."""
    if not owners:
        return np.zeros(0, np.int64)
    each = zip(frame["tenant"].to_list(), frame["account"].to_list(), strict=True)
    return np.asarray([row for row, owner in enumerate(each) if owner in owners], np.int64)


def hits_over(
    frame: pl.DataFrame, watched: str, column: str, names: Sequence[str], caps: Mapping[Owner, AnyCaps], limits_of: Any, no_block: str = ""
) -> list[Hit]:
    """The rows whose values in `column` are over a limit of their account's caps. `names`: of the limits."""
    if column not in frame.columns:
        return []
    owners = list(zip(frame["tenant"].to_list(), frame["account"].to_list(), strict=True))
    none = [NO_LIMIT] * len(names)
    of_owner = {
        owner: [NO_LIMIT if limit is None else limit for limit in limits_of(caps[owner])] if owner in caps else none for owner in set(owners)
    }
    values = frame[column].to_numpy()
    limits = np.asarray([of_owner[owner] for owner in owners], np.int64)
    hits = []
    for row, at in np.argwhere(values > limits).tolist():
        value, limit, name = int(values[row, at]), int(limits[row, at]), names[at]
        hits.append(Hit(row, f"cap_{name}", watched, value / limit if limit else 1.0, no_block, cap=name, value=value, limit=limit))
    return hits


def facts(case: Case, parameters: NoParameters) -> Facts:
    """The facts of a cap that was exceeded."""
    row, hit = case.row, case.hit
    country = row["country"] if hit.subject_kind == "destination" and row["country"] != "001" else ""
    return Facts(
        subject_kind=hit.subject_kind, account=row["account"], trunk="" if row["account"] else row["ingress_trunk"], a_number=row["a_number"],
        cap=hit.cap, value=in_range(hit.value), limit=hit.limit, currency=case.currency, country=country,
        country_name=country_name(country), dialled=case.dialled if hit.subject_kind == UNPRICED else [],
    )  # fmt: skip


DETECTOR = Detector(
    name="caps",
    about="an account, or its calls to one country, exceed a cap that the operator set: money per clock hour or day of UTC, concurrent "
    "calls, calls per second",
    needs=(
        "tenant", "account", "ingress_trunk", "a_number", "country", "t_ms", "nanos", "calls", "active", "k_account", "k_destination",
        "partition", "home",
    ),
    state=dict.fromkeys(WATCHED, COLUMNS),
    update=update,
    findings=findings,
    facts=facts,
)  # fmt: skip
