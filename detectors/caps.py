"""Hard caps: lines that an operator drew, by account, by destination under it, and for its numbers that cannot be read
or priced. (What spans partitions: `detectors.overall`.)

Money an hour and a day count in the clock hours and days of UTC, in exact integers; a row of an hour that has passed is added to
no later one. Calls in flight are a running sum of +1 at the answer and -1 at the end; calls a second count setups in one event-time second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numba
import numpy as np
import polars as pl

from core.config import Caps, UnpricedCaps
from core.facts import UNPRICED
from detectors.columns import Columns

COLUMNS: dict[str, Any] = {
    "hour": np.int64,
    "hour_nanos": np.int64,
    "day": np.int64,
    "day_nanos": np.int64,
    "second": np.int64,
    "second_calls": np.int64,
    "flying": np.int64,
    "seen": np.int64,  # calls ever
}

STATE: dict[str, Any] = {**COLUMNS, "home": np.int64}
"""With where a subject lives: `core.partition.home_of`."""

WATCHED = ("account", "destination")


def count_rows(
    place: Any, t_ms: Any, nanos: Any, calls: Any, flying: Any,
    s_hour: Any, s_hour_nanos: Any, s_day: Any, s_day_nanos: Any, s_second: Any, s_second_calls: Any, s_flying: Any, s_seen: Any,
    o_hour: Any, o_day: Any, o_second: Any, o_flying: Any, o_first: Any,
) -> None:  # fmt: skip
    """Add rows to their subjects; `o_*` get what each row sees: itself and earlier rows."""
    for i in range(len(place)):
        p = place[i]
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
        o_first[i] = calls[i] > 0 and s_seen[p] == 0
        s_seen[p] += calls[i]
        o_hour[i], o_day[i], o_second[i], o_flying[i] = s_hour_nanos[p], s_day_nanos[p], s_second_calls[p], s_flying[p]


count: Any = numba.njit(cache=True)(count_rows)


UNPRICED_COLUMNS: dict[str, Any] = {
    "hour": np.int64,
    "hour_calls": np.int64,
    "hour_talk_ms": np.int64,
    "flying": np.int64,
}
"""Of an account's calls to numbers that cannot be read or priced."""

UNPRICED_STATE: dict[str, Any] = {**UNPRICED_COLUMNS, "home": np.int64}


def count_unpriced_rows(
    place: Any, t_ms: Any, answers: Any, talk_ms: Any, flying: Any, s_hour: Any, s_hour_calls: Any, s_hour_talk_ms: Any, s_flying: Any,
    o_calls: Any, o_talk_ms: Any, o_flying: Any,
) -> None:  # fmt: skip
    """As `count_rows`, of answered calls and their talk."""
    for i in range(len(place)):
        p = place[i]
        hour = t_ms[i] // 3_600_000
        if hour > s_hour[p]:
            s_hour[p], s_hour_calls[p], s_hour_talk_ms[p] = hour, 0, 0
        if hour == s_hour[p]:
            s_hour_calls[p] += answers[i]
            s_hour_talk_ms[p] += talk_ms[i]
        s_flying[p] += flying[i]
        o_calls[i], o_talk_ms[i], o_flying[i] = s_hour_calls[p], s_hour_talk_ms[p], s_flying[p]


count_unpriced: Any = numba.njit(cache=True)(count_unpriced_rows)


class Breach(NamedTuple):
    """A row that crossed a cap: the row of the features frame, whose cap, which, the value and the line."""

    row: int
    watched: str
    cap: str
    value: int
    line: int


def by_cap(
    state: dict[str, Columns],
    frame: pl.DataFrame,
    caps: Mapping[str, Mapping[tuple[str, str], Caps]],
    first_seen: frozenset[tuple[str, str]],
) -> list[Breach]:
    """The breaches of a batch, in the order of its rows. `caps`: watched -> (tenant, account) -> Caps; only subjects with a cap are counted.

    `first_seen`: accounts whose first call to a country is a breach.
    """
    breaches: list[Breach] = []
    for watched in WATCHED:
        limits = caps.get(watched, {})
        if not limits and not (watched == "destination" and first_seen):
            continue
        owners = list(zip(frame["tenant"].to_list(), frame["account"].to_list(), strict=True))
        rows = np.asarray([i for i, o in enumerate(owners) if o in limits or (watched == "destination" and o in first_seen)], np.int64)
        if not len(rows):
            continue
        columns = state[watched]
        hour, day, second, flying = (np.zeros(len(rows), np.int64) for _ in range(4))
        first = np.zeros(len(rows), np.bool_)
        places = columns.places(frame[f"k_{watched}"].gather(rows).to_list())
        columns["home"][places] = frame["home"].to_numpy()[rows]
        count(
            places,
            *(frame[name].to_numpy()[rows] for name in ("t_ms", "nanos", "calls", "flying")),
            *(columns[name] for name in COLUMNS),
            hour, day, second, flying, first,
        )  # fmt: skip
        for at, row in enumerate(rows.tolist()):
            cap = limits.get(owners[row], Caps())
            for name, value, line in crossed(cap, int(hour[at]), int(day[at]), int(flying[at]), int(second[at])):
                breaches.append(Breach(row, watched, name, value, line))
            if first[at] and watched == "destination" and owners[row] in first_seen:
                breaches.append(Breach(row, watched, "first_seen", 1, 0))
    return sorted(breaches)


def by_unpriced_cap(state: Columns, frame: pl.DataFrame, caps: Mapping[tuple[str, str], UnpricedCaps]) -> list[Breach]:
    """The breaches of what accounts may send to numbers that cannot be read or priced."""
    if not caps:
        return []
    owners = zip(frame["tenant"].to_list(), frame["account"].to_list(), frame["k_unpriced"].to_list(), strict=True)
    known = {i: caps[tenant, account] for i, (tenant, account, key) in enumerate(owners) if key and (tenant, account) in caps}
    if not known:
        return []
    rows = np.asarray(list(known), np.int64)
    places = state.places(frame["k_unpriced"].gather(rows).to_list())
    state["home"][places] = frame["home"].to_numpy()[rows]
    calls, talk_ms, flying = (np.zeros(len(rows), np.int64) for _ in range(3))
    # Of a row that can be priced after all, only its end counts: what it talks for is money like any other.
    talked = frame["talk_ms"].to_numpy() * (frame["odd"].to_numpy() != 0)
    count_unpriced(
        places,
        frame["t_ms"].to_numpy()[rows], frame["odd_answers"].to_numpy()[rows], talked[rows], frame["odd_flying"].to_numpy()[rows],
        *(state[name] for name in UNPRICED_COLUMNS),
        calls, talk_ms, flying,
    )  # fmt: skip
    breaches = []
    for at, (row, cap) in enumerate(known.items()):
        for name, value, line in crossed_unpriced(cap, int(calls[at]), int(talk_ms[at]), int(flying[at])):
            breaches.append(Breach(row, UNPRICED, name, value, line))
    return breaches


def crossed_unpriced(cap: UnpricedCaps, hour_calls: int, hour_talk_ms: int, flying: int) -> list[tuple[str, int, int]]:
    """The lines of a cap that these values are over: (which, the value, the line); talk in milliseconds.

    >>> crossed_unpriced(UnpricedCaps(calls_hour=5, minutes_hour=2), 6, 120_001, 9)
    [('calls_hour', 6, 5), ('minutes_hour', 120001, 120000)]
    """
    lines = (
        ("calls_hour", hour_calls, cap.calls_hour),
        ("minutes_hour", hour_talk_ms, None if cap.minutes_hour is None else cap.minutes_hour * 60_000),
        ("concurrent_calls", flying, cap.concurrent_calls),
    )
    return [(name, value, line) for name, value, line in lines if line is not None and value > line]


def crossed(cap: Caps, hour_nanos: int, day_nanos: int, flying: int, second_calls: int) -> list[tuple[str, int, int]]:
    """The lines of a cap that these values are over: (which, the value, the line).

    >>> crossed(Caps(money_hour_nanos=5, concurrent_calls=2), 6, 6, 2, 9)
    [('money_hour', 6, 5)]
    """
    lines = (
        ("money_hour", hour_nanos, cap.money_hour_nanos),
        ("money_day", day_nanos, cap.money_day_nanos),
        ("concurrent_calls", flying, cap.concurrent_calls),
        ("calls_per_second", second_calls, cap.calls_per_second),
    )
    return [(name, value, line) for name, value, line in lines if line is not None and value > line]


def new_state() -> dict[str, Columns]:
    """Empty columns for each watched kind of subject."""
    return {watched: Columns(STATE) for watched in WATCHED} | {UNPRICED: Columns(UNPRICED_STATE)}
