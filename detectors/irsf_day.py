"""IRSF milked slowly: over a day, dear calls to ever new ranges of risky kinds, a few to each, in whatever countries.

Each range, zone and country alone stays under every limit of speed, and some countries are the account's own: an office that has a friend in Somalia
is milked to unassigned numbers of Somalia. What stands out is the account's day: all calls together to ranges that are new for it *and*
premium, satellite, unallocated or known for fraud, against how many of its new ranges are usually such: lists of assigned numbers have holes, and
who calls a country with one calls "unallocated" numbers every day. Nobody answers at numbers that were never assigned; here nearly all are answered,
range after range, and cost more than the account's day.

The numbers are sums over the account, a day ago counts half. Their normal is its own spending, price, answered share and, over a week, its own share
of risky ranges among new ones. What they say of the account holds for each of its calls to such a range, and to a new range of a new country that is
many times as dear as its usual calls.
The block is for the destination of the call alone: the zone, if the account opened it lately, else the range. So what else the account calls stays
open, and an attack loses a destination with each call.

Source: M. Sahin and A. Francillon, NDSS 2021 (test numbers of revenue share lie in unassigned and ordinary ranges of few countries); Europol and
Trend Micro, "Cyber-Telecom Crime Report 2019" (exchanges milked for months, spread over many destinations); GSMA FS.21 ("low and slow").

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"irsf_day": {"least_day_money": 25.0}})).least_day_money
25.0

Twenty answered calls of 5 units each to eight new unallocated ranges, of an account that spends 10 a day on calls of 0.10:

>>> from detectors.profile import NAMES
>>> sums = dict(answers=20.0, misses=2.0, risk=22.0, ranges=8.0, money=100.0, new=14.0, week_ranges=8.0, week_new=40.0)
>>> account = dict(old_hours=96.0, old_money=40.0, old_answers=400.0, old_calls=640.0, hours=96.0, hour_share=1.0)
>>> zone = dict(day_money=15.0, day_answers=3.0)
>>> row = {"unit": 1.0, "odd_day": [sums[name] for name in (*SUMS, *OF_WEEK)]} | {
...     f"p_{kind}": [of.get(name, 0.0) for name in NAMES] for kind, of in (("account", account), ("account_zone", zone))}
>>> [(part.code, round(float(part.points[0]), 1)) for part in parts(Rows.of_case(row))]
[('fresh_day', 2.1), ('answered', 3.0), ('ranges', 2.2), ('price', 2.4), ('risk', 1.5), ('off_hours', 0.0)]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from detectors import evidence as of
from detectors.columns import Columns, column_of
from detectors.decay import fade_many
from detectors.evidence import DAY_H, Part, Rows
from detectors.profile import DAY_MS, HOUR_MS, is_fresh, seen
from detectors.protocol import Limits
from detectors.scored import READS, RISKY, Candidates, NotNegative, Probability, burn, scored

SUMS = ("answers", "misses", "risk", "ranges", "money", "new")
"""Of an account, over its calls to new ranges of risky kinds: answered, not answered, the logarithms of the risk of the answered, first calls into a
range; the money of these and of its calls to new ranges of new countries; and first calls into new ranges of any kind."""
OF_WEEK = ("week_ranges", "week_new")
"""`ranges` and `new`, a week ago counts half."""
USUAL, BEFORE = 0.05, 10.0
"""The share of risky ranges among new ones of an account that has called few, and so many new ranges it counts as."""
MONEY = SUMS.index("money")
DEARER = 5.0
"""A destination of an ordinary kind counts if a minute there costs so many times the account's usual one."""
REMEMBERED_MS = 7 * DAY_MS


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units; both sums decay by a day."""

    least_probability: Probability = 0.8  # of fraud, for an alert
    least_loss: NotNegative = 0.1  # expected in the next 15 minutes, for an alert
    least_day_money: NotNegative = 10.0  # money of the account to such ranges in a day
    least_calls: NotNegative = 4.0  # answered calls to them
    least_watched_h: NotNegative = 12.0  # of the account: what it calls in its first half day is its own


def update(state: dict[str, Columns], frame: pl.DataFrame, parameters: Parameters, limits: Limits) -> pl.DataFrame:
    """Add `odd_day`: `SUMS` of the row's account, in the rows that may be judged by them; no column where there are none."""
    account_ms = seen(frame, "account", "age_ms")
    is_known = account_ms >= parameters.least_watched_h * HOUR_MS
    is_new = is_known & is_fresh(seen(frame, "account_range", "age_ms"), account_ms) & (frame["zone"] != "").to_numpy()
    is_odd = is_new & ((frame["weight"].to_numpy() >= RISKY) | (frame["known_points"].to_numpy() > 0))
    counts = is_odd | (is_new & is_fresh(seen(frame, "account_zone", "country_age_ms"), account_ms))
    rows = np.flatnonzero(is_new)
    if not len(rows):
        return frame
    part, columns = frame[rows], state["account"]
    is_first = (part["calls"].to_numpy() > 0) & (seen(part, "account_range", "sum_calls") <= part["calls"].to_numpy())
    answers, odd = part["answers"].to_numpy(), is_odd[rows]
    of_day = (
        answers * odd, part["misses"].to_numpy() * odd, answers * odd * np.log(np.maximum(part["weight"].to_numpy(), 1.0)), is_first & odd,
        part["money"].to_numpy() * counts[rows], is_first,
    )  # fmt: skip
    slots, t_ms = columns.enter(part, "k_account"), part["t_ms"].to_numpy()
    found = []
    for half_ms, since, names, added in ((DAY_MS, "t_ms", SUMS, of_day), (7 * DAY_MS, "week_ms", OF_WEEK, (of_day[3], is_first))):
        values = np.column_stack(added).astype(np.float64)
        sums = np.zeros_like(values)
        fade_many(slots, t_ms, values, float(half_ms), columns[since], tuple(columns[name] for name in names), sums)
        found.append(sums)
    columns["until_ms"][slots] = columns["t_ms"][slots] + REMEMBERED_MS
    judged = counts[rows]
    return frame.hstack([column_of("odd_day", frame.height, rows[judged], np.hstack(found)[judged], 0)]) if judged.any() else frame


def parts(rows: Rows) -> Sequence[Part]:
    answers, misses, risk, ranges, money, new, week_ranges, week_new = np.asarray(rows["odd_day"]).T
    usual, kind = rows.before("account", "calls"), risk / np.maximum(answers, 1e-9)
    before = np.maximum(week_ranges - ranges, 0.0) + USUAL * BEFORE, np.maximum(week_new - new, 0.0) + BEFORE
    expected = np.maximum(before[0] / before[1] * np.maximum(new, ranges), 1e-9)
    surprise = np.where(ranges > expected, ranges * np.log(np.maximum(ranges, 1e-9) / expected) - (ranges - expected), 0.0)
    return (
        of.spent_of_day(rows, money), of.answered_of(rows, answers, misses, 3.0),
        Part("ranges", np.clip(surprise - 2.0, -3.0, 3.0) - 0.4 * np.log1p(usual), ranges, expected), of.price_of_day(rows, "account_zone"),
        Part("risk", np.clip(1.4 * kind, 0.0, 2.5), np.exp(kind), np.ones_like(kind)), of.off_hours(rows),
    )  # fmt: skip


def burns(rows: Rows, kind: str, over_a_day: bool) -> of.Floats:
    """What the destination costs in the next 15 minutes, or, if that is more, all such ones of the account: who is refused one dials the next."""
    everywhere = np.asarray(rows["odd_day"])[:, MONEY] * rows["unit"] * 0.25 / DAY_H
    return np.asarray(np.maximum(burn(rows, kind, over_a_day), everywhere))


def _enough(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    if "odd_day" not in frame.columns:
        return np.zeros(frame.height, np.bool_)
    sums = frame["odd_day"].to_numpy()
    money = sums[:, MONEY] * frame["unit"].to_numpy()
    found: Candidates = (sums[:, 0] >= max(parameters.least_calls, 1e-9)) & (money >= parameters.least_day_money) & _dear(frame)
    return found


def _dear(frame: pl.DataFrame) -> Candidates:
    """The rows whose destination is risky in itself, or costs the account several times its normal per minute: what it opens besides is its own."""
    there = seen(frame, "account_zone", "day_money") / np.maximum(seen(frame, "account_zone", "day_talk_min"), 0.1)
    usual = seen(frame, "account", "normal_money") / np.maximum(seen(frame, "account", "normal_talk_min"), 0.1)
    found: Candidates = (frame["weight"].to_numpy() >= RISKY) | (frame["known_points"].to_numpy() > 0) | (there >= DEARER * usual)
    return found


def _opened(frame: pl.DataFrame) -> Candidates:
    """The rows whose zone the account called for the first time lately."""
    fresh: Candidates = is_fresh(seen(frame, "account_zone", "age_ms"), seen(frame, "account", "age_ms"))
    return fresh


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The calls to new zones of accounts with a day of odd calls worth weighing."""
    return np.asarray(_enough(frame, parameters) & _opened(frame))


def in_old_zones(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """Those to new ranges of zones that the account has called before."""
    return np.asarray(_enough(frame, parameters) & ~_opened(frame) & (frame["b_range"] != "").to_numpy())


STATE: dict[str, Any] = {"t_ms": np.int64, "week_ms": np.int64, **dict.fromkeys((*SUMS, *OF_WEEK), np.float64)}

DETECTOR = scored(
    name="irsf_day",
    about="international revenue share fraud, milked slowly: a day of dear answered calls to ever new ranges of risky kinds, wherever they are",
    fraud="irsf_slow",
    kind="account_zone",
    parts=parts,
    candidates=candidates,
    also={"account_range": in_old_zones},
    needs=(*READS, "money", "k_account", "partition", "home"),
    state={"account": STATE},
    update=update,
    over_a_day=True,
    burns=burns,
    parameters=Parameters,
)
