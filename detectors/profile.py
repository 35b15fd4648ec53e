"""What each subject does now, and what is normal for it: counts and money of the last minutes, the last day and the hours before.

One recurrence for every kind of subject (`KINDS`), over its rows in the order of arrival: equal under any cut of the stream. A detector
reads the numbers by name (`seen`) and never repeats the arithmetic.

The normal is an average over whole hours, the current one left out, in which a week ago counts half; `hours` says over how many. So an attack
is not part of what it is compared with until its hour has passed, and a subject that was watched for ten minutes has no normal yet. The normal of
an account is of its own countries alone: a night of fraud somewhere else does not become normal.

Distinct counts are estimated by a register of 256 (64) bits per hour: a number whose bit is new counts as 1 / (share of bits still free)
(historic inverse probability; D. Ting, "Streamed approximate counting of distinct elements", KDD 2014).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from core.facts import Facts
from core.money import in_range
from detectors.columns import Columns
from detectors.destination import destination
from detectors.features import BLOCK_DIGITS
from detectors.protocol import Case, Feature

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FAST_MS = 900_000.0  # half-life of what is now
SHORT_MS = 10_000
"""An answered call of at most this length is short: it pays a first increment of 30 or 60 s for a few seconds of talk."""
RING_MS = 6_000
"""A call that its caller gave up after ringing no longer than this was not meant to be answered: people let it ring 20 s and more."""
GIVEN_UP = (0, 487)
"""SIP codes of a call that its caller gave up (RFC 3261, clause 21.4.25), and of a record without one: busy (486) is nobody's intention."""

KINDS = {
    "account_zone": (30 * DAY_MS, 0),
    "account": (30 * DAY_MS, 0),
    "account_range": (2 * DAY_MS, DAY_MS),
    "a_number": (6 * HOUR_MS, DAY_MS),
    "a_range": (6 * HOUR_MS, DAY_MS),
}
"""Kind -> how long a silent subject is remembered, and how much longer for each day on which it called."""
MOST_DAYS = 20
LEAST_CALLS = 20
"""With so many calls a subject is remembered as if it had called on two days more: an office's numbers are no new ones after a night."""

NAMES: dict[str, str] = {
    "calls": "calls now: decayed, a quarter of an hour ago counts half; so are all without another word",
    "answers": "answered calls",
    "shorts": f"answered calls of at most {SHORT_MS // 1000} s",
    "rings": f"calls given up within {RING_MS // 1000} s, not answered",
    "misses": "calls that were not answered",
    "money": "money, in the currency of the calls",
    "distinct": "distinct b_numbers",
    "callers": "distinct a_numbers",
    "new_ranges": "calls that were the account's first into their range",
    "new_zones": "calls that were the account's first into their zone",
    "sequential": "calls to a number at most 3 from the one before",
    "overlaps": "answered calls while another of the subject talked",
    "one_b": "answered calls to the b_number of the one before, while that one talked",
    "repeats": "calls of one a_number to one b_number that began within 5 s of the one before",
    "fresh_money": "money to fresh countries (`is_fresh`)",
    "lead": "the share of `calls` that one a_number leads all others by",
    "lead_b": "the same of one b_number",
    "day_answers": "answered calls: a day ago counts half",
    "day_calls": "calls, likewise",
    "day_money": "money, likewise",
    "day_new_ranges": "first calls into ranges, likewise",
    "day_new_zones": "first calls into zones, likewise",
    "day_distinct": "distinct b_numbers, likewise, counted anew each hour",
    "day_talk_min": "minutes of talk, likewise",
    "day_fresh_money": "money to fresh countries, likewise",
    "hours": "hours over which the normal is an average; 0 = none yet",
    "normal_calls": "calls per hour, before this hour",
    "normal_answers": "answered calls per hour",
    "normal_shorts": "short answered calls per hour",
    "normal_money": "money per hour",
    "normal_talk_min": "minutes of talk per hour",
    "old_answers": "answered calls before yesterday (UTC): a week ago counts half; likewise the next two",
    "old_calls": "calls",
    "old_money": "money",
    "old_hours": "hours of it that it was watched",
    "hour_share": "on how many of its days it called at this hour of the day, in average hours (1 = as at any other hour)",
    "days": "days before today on which it called",
    "age_ms": "since its first call",
    "sum_calls": "all its calls",
    "window_ms": "how long ago the current and the last hour of its calls began; the next three are of them",
    "window_calls": "calls",
    "window_nanos": "money, 1e-9",
    "window_talk_ms": "talk",
    "country_age_ms": "of a zone: since the account's first call to its country",
    "day_countries": "first calls to a country by an account that was known before: a day ago counts half",
    "fresh_answers": "answered calls to fresh countries",
    "fresh_misses": "calls to them that were not answered",
}
AT = {name: at for at, name in enumerate(NAMES)}

_INTS = (
    "first_ms", "t_ms", "hour", "day", "days", "sum_calls", "begin_ms", "h_calls", "h_nanos", "h_talk_ms", "p_calls", "p_nanos", "p_talk_ms",
    "p_begin_ms", "active", "code", "talk_code", "talk_end_ms", "began_ms",
)  # fmt: skip
_FLOATS = (
    "calls", "answers", "shorts", "rings", "misses", "money", "distinct", "callers", "new_ranges", "new_zones", "sequential", "overlaps",
    "one_b", "repeats", "fresh_money", "lead", "lead_b",
    "day_answers", "day_calls", "day_money", "day_new_ranges", "day_new_zones", "day_distinct", "day_talk_min", "day_fresh_money",
    "hours", "n_calls", "n_answers", "n_shorts", "n_money", "n_talk_min", "h_answers", "h_shorts", "h_money",
    "t_answers", "t_calls", "t_money", "y_answers", "y_calls", "y_money", "o_answers", "o_calls", "o_money", "o_hours", "day_countries",
    "h_own_calls", "h_own_talk_ms", "fresh_answers", "fresh_misses",
)  # fmt: skip
_KEYS = ("caller", "b0", "b1", "b2", "b3", "a0")
HOURS = tuple(f"d{hour}" for hour in range(24))
HOUR_STATE: dict[str, Any] = {"counted": np.int64, **dict.fromkeys(HOURS, np.float64)}
"""Days with calls by hour of the day, of accounts only."""

STATE: dict[str, Any] = {
    **dict.fromkeys(_INTS, np.int64), **dict.fromkeys(_FLOATS, np.float64), **dict.fromkeys(_KEYS, np.uint64), "top": np.int64,
}  # fmt: skip

FRESH_MS, FIRST_MS, SETTLED_MS = 3 * DAY_MS, 12 * HOUR_MS, 6 * HOUR_MS
"""A country that an account has called for less than three days is fresh: none of its own. What it called in its first half day is taken
for its own after six hours."""
COUNTRY: dict[str, Any] = {"first_ms": np.int64}


def is_fresh(country_age_ms: npt.NDArray[Any], account_age_ms: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether an account has called a country for too short a time for it to be its own.

    >>> is_fresh(np.array([1, 7, 7, 80]) * HOUR_MS, np.array([12, 12, 200, 200]) * HOUR_MS).tolist()
    [True, False, True, False]
    """
    is_first = account_age_ms - country_age_ms < FIRST_MS
    return np.asarray(country_age_ms < np.where(is_first, SETTLED_MS, FRESH_MS))


def profile_rows(
    slot: Any, t_ms: Any, calls: Any, answers: Any, shorts: Any, rings: Any, misses: Any, nanos: Any, talk_ms: Any, active: Any,
    code: Any, caller: Any, b_hash: Any, new_range: Any, new_zone: Any, new_country: Any, fresh: Any, own: Any, answer_ms: Any, started_ms: Any,
    ints: Any, floats: Any, keys: Any, tops: Any, out: Any,
) -> None:  # fmt: skip
    """Add rows to their subjects. `ints`, `floats`, `keys`: the state's columns as tuples, in the order of their names; `out` gets what each
    row sees, in the order of `NAMES` (but `hour_share` and `country_age_ms`)."""
    (first, last, hour_of, day_of, days, sum_calls, begin, h_calls, h_nanos, h_talk, p_calls, p_nanos, p_talk, p_begin, busy, last_code,
     talk_code, talk_end, began) = ints
    (f_calls, f_answers, f_shorts, f_rings, f_misses, f_money, f_distinct, f_callers, f_ranges, f_zones, f_sequential, f_overlaps, f_one,
     f_repeats, f_fresh, f_lead, f_lead_b, d_answers, d_calls, d_money, d_ranges, d_zones, d_distinct, d_talk, d_fresh,
     n_hours, n_calls, n_answers, n_shorts, n_money, n_talk, h_answers, h_shorts, h_money,
     t_answers, t_calls, t_money, y_answers, y_calls, y_money, o_answers, o_calls, o_money, o_hours,
     d_countries, h_own, h_own_talk, f_fresh_answers, f_fresh_misses) = floats
    top_caller, b0, b1, b2, b3, a0 = keys
    one, zero = np.uint64(1), np.uint64(0)
    for i in range(len(slot)):
        p = slot[i]
        t = t_ms[i]
        if first[p] == 0:
            first[p], last[p], hour_of[p], day_of[p] = t, t, t // 3_600_000, t // 86_400_000
            begin[p] = min(t, max(started_ms[i], t - 3_600_000))
        gap = t - last[p]
        if gap > 0:
            fast, day = 2.0 ** (-gap / 900_000.0), 2.0 ** (-gap / 86_400_000.0)
            f_calls[p] *= fast
            f_answers[p] *= fast
            f_shorts[p] *= fast
            f_rings[p] *= fast
            f_misses[p] *= fast
            f_money[p] *= fast
            f_distinct[p] *= fast
            f_callers[p] *= fast
            f_ranges[p] *= fast
            f_zones[p] *= fast
            f_sequential[p] *= fast
            f_overlaps[p] *= fast
            f_one[p] *= fast
            f_repeats[p] *= fast
            f_fresh[p] *= fast
            f_fresh_answers[p] *= fast
            f_fresh_misses[p] *= fast
            f_lead[p] *= fast
            f_lead_b[p] *= fast
            d_answers[p] *= day
            d_calls[p] *= day
            d_money[p] *= day
            d_ranges[p] *= day
            d_zones[p] *= day
            d_distinct[p] *= day
            d_talk[p] *= day
            d_fresh[p] *= day
            d_countries[p] *= day
            last[p] = t
        passed = t // 3_600_000 - hour_of[p]
        if passed > 0:  # whole hours become part of the normal
            fade = 2.0 ** (-passed / 168.0)
            n_calls[p] = (n_calls[p] + h_own[p]) * fade
            n_answers[p] = (n_answers[p] + h_answers[p]) * fade
            n_shorts[p] = (n_shorts[p] + h_shorts[p]) * fade
            n_money[p] = (n_money[p] + h_money[p]) * fade
            n_talk[p] = (n_talk[p] + h_own_talk[p] / 60_000.0) * fade
            n_hours[p] = n_hours[p] * fade + (1.0 - fade) * 242.87  # 1 / (1 - 2 ** (-1 / 168)): the sum of the hours, each as it has faded
            if passed == 1:
                p_calls[p], p_nanos[p], p_talk[p], p_begin[p] = h_calls[p], h_nanos[p], h_talk[p], begin[p]
            else:
                p_calls[p], p_nanos[p], p_talk[p], p_begin[p] = 0, 0, 0, 0
            h_calls[p], h_nanos[p], h_talk[p], h_answers[p], h_shorts[p], h_money[p] = 0, 0, 0, 0.0, 0.0, 0.0
            h_own[p], h_own_talk[p] = 0.0, 0.0
            hour_of[p], begin[p] = t // 3_600_000, min(t, max(started_ms[i], t - 3_600_000))
            b0[p], b1[p], b2[p], b3[p], a0[p] = zero, zero, zero, zero, zero
            later = t // 86_400_000 - day_of[p]
            if later > 0:  # what was before yesterday becomes old
                fade = 2.0 ** (-later / 7.0)
                more = 1.0 if later > 1 else 0.0
                o_answers[p] = (o_answers[p] + y_answers[p] + t_answers[p] * more) * fade
                o_calls[p] = (o_calls[p] + y_calls[p] + t_calls[p] * more) * fade
                o_money[p] = (o_money[p] + y_money[p] + t_money[p] * more) * fade
                before = (t // 86_400_000 - 1) * 86_400_000 - max(first[p], (day_of[p] - 1) * 86_400_000)
                o_hours[p] = (o_hours[p] + max(0, before) / 3_600_000.0) * fade
                keep = 1.0 - more
                y_answers[p], y_calls[p], y_money[p] = t_answers[p] * keep, t_calls[p] * keep, t_money[p] * keep
                t_answers[p], t_calls[p], t_money[p] = 0.0, 0.0, 0.0
                day_of[p] = t // 86_400_000
                days[p] += 1
        n, money = calls[i], nanos[i] * 1e-9
        if n:
            h = b_hash[i]
            word, bit = (h >> np.uint64(6)) & np.uint64(3), one << (h & np.uint64(63))
            held = b0[p] if word == 0 else b1[p] if word == 1 else b2[p] if word == 2 else b3[p]
            if not held & bit:
                used = 0
                for w in (b0[p], b1[p], b2[p], b3[p]):
                    while w:
                        w &= w - one
                        used += 1
                if used > 230:
                    b0[p], b1[p], b2[p], b3[p], used, held = zero, zero, zero, zero, 0, zero
                f_distinct[p] += 256.0 / (256 - used)
                d_distinct[p] += 256.0 / (256 - used)
                if word == 0:
                    b0[p] = held | bit
                elif word == 1:
                    b1[p] = held | bit
                elif word == 2:
                    b2[p] = held | bit
                else:
                    b3[p] = held | bit
            bit = one << (caller[i] & np.uint64(63))
            if not a0[p] & bit:
                used, w = 0, a0[p]
                while w:
                    w &= w - one
                    used += 1
                if used > 57:
                    a0[p], used = zero, 0
                f_callers[p] += 64.0 / (64 - used)
                a0[p] |= bit
            if code[i]:
                step = code[i] - last_code[p]
                if 0 < step <= 3 or -3 <= step < 0:
                    f_sequential[p] += n
            again = caller[i] == top_caller[p] and code[i] == last_code[p] and code[i] != 0
            if again and abs(started_ms[i] - began[p]) <= 5_000:
                f_repeats[p] += n
            began[p] = started_ms[i]
            if caller[i] == top_caller[p]:
                f_lead[p] += n
            elif n > f_lead[p]:
                top_caller[p], f_lead[p] = caller[i], n - f_lead[p]
            else:
                f_lead[p] -= n
            if code[i] == tops[p]:
                f_lead_b[p] += n
            elif n > f_lead_b[p]:
                tops[p], f_lead_b[p] = code[i], n - f_lead_b[p]
            else:
                f_lead_b[p] -= n
            last_code[p] = code[i]
        busy[p] += active[i]
        if answers[i]:
            others = busy[p] > 1 or (active[i] == 0 and talk_end[p] > answer_ms[i])
            if others:
                f_overlaps[p] += 1
                if code[i] == talk_code[p] and code[i] != 0:
                    f_one[p] += 1
            talk_code[p] = code[i]
            talk_end[p] = max(talk_end[p], t)
        f_calls[p] += n
        f_answers[p] += answers[i]
        f_shorts[p] += shorts[i]
        f_rings[p] += rings[i]
        f_misses[p] += misses[i]
        f_money[p] += money
        f_fresh[p] += money * fresh[i]
        f_fresh_answers[p] += answers[i] * fresh[i]
        f_fresh_misses[p] += misses[i] * fresh[i]
        d_fresh[p] += money * fresh[i]
        f_ranges[p] += new_range[i]
        f_zones[p] += new_zone[i]
        d_answers[p] += answers[i]
        d_calls[p] += n
        d_money[p] += money
        d_ranges[p] += new_range[i]
        d_zones[p] += new_zone[i]
        d_countries[p] += new_country[i]
        d_talk[p] += talk_ms[i] / 60_000.0
        h_calls[p] += n
        h_nanos[p] += nanos[i]
        h_talk[p] += talk_ms[i]
        if own[i]:  # what is normal
            t_answers[p] += answers[i]
            t_calls[p] += n
            t_money[p] += money
            h_answers[p] += answers[i]
            h_shorts[p] += shorts[i]
            h_money[p] += money
            h_own[p] += n
            h_own_talk[p] += talk_ms[i]
        sum_calls[p] += n
        o = out[i]
        o[0], o[1], o[2], o[3], o[4], o[5], o[6] = f_calls[p], f_answers[p], f_shorts[p], f_rings[p], f_misses[p], f_money[p], f_distinct[p]
        o[7], o[8], o[9], o[10], o[11], o[12] = f_callers[p], f_ranges[p], f_zones[p], f_sequential[p], f_overlaps[p], f_one[p]
        o[13], o[14] = f_repeats[p], f_fresh[p]
        whole = max(f_calls[p], 1e-9)
        o[15] = f_lead[p] / whole if caller[i] == top_caller[p] else 0.0
        o[16] = f_lead_b[p] / whole if code[i] == tops[p] else 0.0
        o[17], o[18], o[19], o[20], o[21], o[22] = d_answers[p], d_calls[p], d_money[p], d_ranges[p], d_zones[p], d_distinct[p]
        o[23], o[24], o[25] = d_talk[p], d_fresh[p], n_hours[p]
        per = 1.0 / max(n_hours[p], 1.0)
        o[26], o[27], o[28], o[29], o[30] = n_calls[p] * per, n_answers[p] * per, n_shorts[p] * per, n_money[p] * per, n_talk[p] * per
        o[31], o[32], o[33], o[34], o[35] = o_answers[p], o_calls[p], o_money[p], o_hours[p], 1.0
        o[36], o[37], o[38] = days[p], t - first[p], sum_calls[p]
        o[39] = t - (p_begin[p] if p_begin[p] else begin[p])
        o[40], o[41], o[42] = p_calls[p] + h_calls[p], p_nanos[p] + h_nanos[p], p_talk[p] + h_talk[p]
        o[44], o[45], o[46] = d_countries[p], f_fresh_answers[p], f_fresh_misses[p]


profile: Any = numba.njit(cache=True)(profile_rows)


def hour_rows(slot: Any, t_ms: Any, calls: Any, counted: Any, hours: Any, out: Any) -> None:
    """Count on how many days an account called at each hour of the day (UTC), and say how usual this hour is, today left out: its share of all,
    in average hours. The hours beside it count half, and a day with a call in every hour is added: a new account's hours are all alike."""
    for i in range(len(slot)):
        p, now = slot[i], t_ms[i] // 3_600_000
        hour = now % 24
        if calls[i] and now > counted[p]:
            counted[p] = now
            hours[hour][p] += 1.0
        today = 1.0 if counted[p] == now else 0.0
        whole = 24.0 - today
        for of in hours:
            whole += of[p]
        near = 2.0 + hours[hour][p] - today + 0.5 * hours[(hour + 1) % 24][p] + 0.5 * hours[(hour + 23) % 24][p]
        out[i] = 12.0 * near / whole


usual_hours: Any = numba.njit(cache=True)(hour_rows)


def update(state: dict[str, Columns], frame: pl.DataFrame, secret: bytes) -> pl.DataFrame:
    """Add `p_<kind>` for each of `KINDS`: the numbers of `NAMES` of each row's subject, that row included; and `answers`, `shorts`, `rings`,
    `misses`, `per_min` (money per minute of talk, 0 = none)."""
    n = frame.height
    t_ms, calls, active, talk_ms, nanos = (frame[name].to_numpy() for name in ("t_ms", "calls", "active", "talk_ms", "nanos"))
    started_ms, code, caller = frame["started_ms"].to_numpy(), frame["b_code"].to_numpy(), frame["k_a_number"].to_numpy()
    answered, final = frame["answered"].to_numpy(), frame["final"].to_numpy()
    duration_ms = frame["duration_ms"].fill_null(0).to_numpy()
    answer_ms = frame["answer_ms"].fill_null(0).to_numpy()
    answers = ((active == 1) | (answered & final & (active == 0) & (calls == 1))).astype(np.int64)
    shorts = (answered & final & (duration_ms <= SHORT_MS) & (nanos >= 0)).astype(np.int64)
    misses = (final & ~answered).astype(np.int64)
    code_of_end, ringing_ms = frame["sip_code"].fill_null(0).to_numpy(), frame["ringing_ms"].fill_null(0).to_numpy()
    given_up = np.isin(code_of_end, GIVEN_UP) & (t_ms - np.where(ringing_ms > 0, ringing_ms, started_ms) <= RING_MS)
    rings = (misses & given_up).astype(np.int64)
    # A cheap mixer for the registers: b_numbers are not random.
    b_hash = code.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)
    new_range, new_zone = _first_calls(state, frame, "account_range", calls), _first_calls(state, frame, "account_zone", calls)
    nowhere = code == 0
    new_range[nowhere], new_zone[nowhere] = 0, 0
    added = [
        pl.Series("answers", answers), pl.Series("shorts", shorts), pl.Series("rings", rings), pl.Series("misses", misses),
        pl.Series("per_min", np.where(talk_ms > 0, nanos * 1e-9 * 60_000 / np.maximum(talk_ms, 1), 0.0)),
    ]  # fmt: skip
    country_age_ms, is_first = _country_ages(state["destination"], frame, t_ms)
    accounts = state["account"]
    slots = accounts.enter(frame, "k_account")  # before the column is taken: a new account may make it grow
    first_ms = accounts["first_ms"][slots]
    account_age_ms = np.where(first_ms > 0, t_ms - first_ms, 0)
    fresh = (is_fresh(country_age_ms, account_age_ms) & ~nowhere).astype(np.float64)
    # Of an account, only its own countries are normal: those of its first hours, and later ones when they are fresh no more.
    is_own = nowhere | (country_age_ms >= FRESH_MS) | (account_age_ms - country_age_ms < SETTLED_MS)
    every = np.ones(n, np.bool_)
    new_country = (is_first & (account_age_ms >= SETTLED_MS) & ~nowhere).astype(np.int64)
    for kind, (stays_ms, more_ms) in KINDS.items():
        columns, out = state[kind], np.zeros((n, len(NAMES)))
        slots = columns.enter(frame, f"k_{kind}")
        profile(
            slots, t_ms, calls, answers, shorts, rings, misses, nanos, talk_ms, active, code, caller, b_hash, new_range, new_zone, new_country, fresh,
            is_own if kind == "account" else every, answer_ms, started_ms, tuple(columns[name] for name in _INTS),
            tuple(columns[name] for name in _FLOATS), tuple(columns[name] for name in _KEYS), columns["top"], out,
        )  # fmt: skip
        days = np.minimum(columns["days"][slots], MOST_DAYS) + 2 * (columns["sum_calls"][slots] >= LEAST_CALLS)
        columns["until_ms"][slots] = columns["t_ms"][slots] + stays_ms + more_ms * days
        if kind == "account_zone":
            out[:, AT["country_age_ms"]] = country_age_ms
        if kind == "account":
            usual_hours(slots, t_ms, calls, columns["counted"], tuple(columns[name] for name in HOURS), out[:, AT["hour_share"]])
        added.append(pl.Series(f"p_{kind}", out))
    return frame.hstack(added)


def _country_ages(
    columns: Columns, frame: pl.DataFrame, t_ms: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Of each row: how long ago its account called its country for the first time, and whether the row does so."""
    slots, is_first = columns.enter(frame, "k_destination"), np.zeros(frame.height, np.bool_)
    new = np.flatnonzero(columns["first_ms"][slots] == 0)
    if len(new):
        first = new[np.unique(slots[new], return_index=True)[1]]
        columns["first_ms"][slots[first]] = t_ms[first]
        is_first[first] = True
    columns["until_ms"][slots] = t_ms + KINDS["account_zone"][0]
    return np.asarray(np.maximum(t_ms - columns["first_ms"][slots], 0)), is_first


def _first_calls(state: dict[str, Columns], frame: pl.DataFrame, kind: str, calls: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """1 where a row is the first call of its subject."""
    columns = state[kind]
    slots = columns.enter(frame, f"k_{kind}")
    rows = np.flatnonzero((calls > 0) & (columns["sum_calls"][slots] == 0))
    first = np.zeros(frame.height, np.int64)
    first[rows[np.unique(slots[rows], return_index=True)[1]]] = 1
    return first


def seen(frame: pl.DataFrame, kind: str, name: str) -> npt.NDArray[np.float64]:
    """One number of `NAMES` in every row, of the row's subject of a kind."""
    column: npt.NDArray[np.float64] = frame[f"p_{kind}"].to_numpy()[:, AT[name]]
    return column


def seen_in(row: Mapping[str, Any], kind: str, name: str) -> float:
    """The same in one row."""
    return float(row[f"p_{kind}"][AT[name]])


def facts(case: Case, kind: str) -> Facts:
    """The facts of an episode of a subject of `KINDS`: its calls, talk and money since the hour before the one in which it began."""
    row, start = case.row, case.start
    now = {name: seen_in(row, kind, name) for name in ("window_ms", "window_calls", "window_nanos", "window_talk_ms", "normal_money", "hours")}
    if not start:
        start.update(
            began_ms=row["t_ms"] - int(now["window_ms"]), usual_per_ms=-1.0 if now["hours"] < 1 else now["normal_money"] * 1e9 / HOUR_MS,
            calls=0, nanos=0, talk_ms=0, seen_ms=0, seen_calls=0, seen_nanos=0, seen_talk_ms=0,
        )  # fmt: skip
    # The windows move on while the episode runs: what they lose is kept in `start`.
    began_ms = row["t_ms"] - int(now["window_ms"])
    if began_ms > start["seen_ms"] > 0:
        for name in ("calls", "nanos", "talk_ms"):
            start[name] = in_range(int(start[name]) + max(0, int(start[f"seen_{name}"]) - int(now[f"window_{name}"])))
    start["seen_ms"] = began_ms
    for name in ("calls", "nanos", "talk_ms"):
        start[f"seen_{name}"] = in_range(int(now[f"window_{name}"]))
    window_ms = max(0, row["t_ms"] - int(start["began_ms"]))
    nanos = in_range(int(start["nanos"]) + int(now["window_nanos"]))
    usual = None if start["usual_per_ms"] < 0 else in_range(round(start["usual_per_ms"] * window_ms))
    number = row["b_number"] if row["b_code"] else ""
    to = destination(number, row["b_kind"])
    b_range = row["zone"] if kind == "account_zone" else number[:-BLOCK_DIGITS] if kind == "account_range" else ""
    return Facts(
        subject_kind=kind, account=row["account"], trunk="" if row["account"] else row["ingress_trunk"],
        a_number=row["a_number"] if kind in ("a_number", "a_range") else "", calls=int(start["calls"]) + int(now["window_calls"]),
        talk_ms=int(start["talk_ms"]) + int(now["window_talk_ms"]), window_ms=window_ms, nanos=nanos, currency=case.currency if nanos else "",
        usual_nanos=usual, b_range=b_range, share_percent=100 if b_range else 0, code=to.code, country=to.country, country_name=to.name,
        number_kind=to.kind if b_range else "",
    )  # fmt: skip


FEATURE = Feature(
    name="profile",
    about="what an account, its callers, the ranges that they call and call from, and its zones do now, and what is normal for them",
    needs=(
        "t_ms", "started_ms", "ringing_ms", "sip_code", "answer_ms", "duration_ms", "nanos", "talk_ms", "calls", "active", "answered",
        "final", "b_code", "partition", "home",
        *(f"k_{kind}" for kind in KINDS), "k_destination",
    ),
    adds={f"p_{kind}": NAMES for kind in KINDS},
    state={kind: STATE | (HOUR_STATE if kind == "account" else {}) for kind in KINDS} | {"destination": COUNTRY},
    update=update,
)  # fmt: skip
