"""How likely fraud is: contributions in log-odds that add up, each a number beside its normal; and what it would cost to wait.

The model is a scorecard (naive Bayes with its weights set by hand). The weights come from what carriers publish about each fraud (GSMA FS.21,
CFCA Fraud Loss Survey, i3Forum "Fraud Classification"; each detector's docstring says which); they are capped, so that no single number
decides. `PRIOR` is for a subject of which nothing is known: about one window of calls in 20,000.

    log-odds = PRIOR + sum of the contributions;  probability = 1 / (1 + e ** -log-odds)
    expected loss = probability * what the subject burns in the next 15 minutes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from core.facts import Contribution
from detectors.profile import AT, FAST_MS, HOUR_MS, is_fresh

PRIOR = -10.0
WINDOW_H = FAST_MS / HOUR_MS / np.log(2)
"""How many hours of a steady stream a number that decays by the short half-life holds: 0.36."""
DAY_H = 24 / np.log(2)
WATCHED_H = 6
"""After so many hours of an account something is known of what it does."""
QUARTER = np.log(2)
"""What a subject burns in the next 15 minutes, of what its decayed money is now, if it goes on as it does."""

Floats = npt.NDArray[np.float64]


class Part(NamedTuple):
    """One contribution in some rows: its points, the number and its normal. `code`: of `core.alert_text.EVIDENCE`."""

    code: str
    points: Floats
    value: Floats
    normal: Floats


class Rows:
    """Some rows of a frame of features, or the one of a case.

    >>> Rows.of_case({"money": 2.0, "p_account": [7.0] + [0.0] * 42}).of("account", "calls")
    array([7.])
    """

    def __init__(self, column: Callable[[str], npt.NDArray[Any]]) -> None:
        self._column = cache(column)  # a scorecard reads a column dozens of times

    @classmethod
    def of_frame(cls, frame: pl.DataFrame, rows: npt.NDArray[np.int64]) -> Rows:
        return cls(lambda name: np.asarray(frame[name].to_numpy()[rows]))

    @classmethod
    def of_case(cls, row: Mapping[str, Any]) -> Rows:
        return cls(lambda name: np.asarray([row[name]]))

    def of(self, kind: str, name: str) -> Floats:
        """A number of `profile.NAMES` of the rows' subjects of a kind."""
        return np.asarray(self._column(f"p_{kind}")[:, AT[name]])

    def normal(self, kind: str, name: str) -> Floats:
        """A subject's normal per hour over the hours that its account was watched: a range that was never called before has none."""
        own, account = np.maximum(self.of(kind, "hours"), 1.0), np.maximum(self.of("account", "hours"), 1.0)
        return np.asarray(self.of(kind, f"normal_{name}") * own / np.maximum(own, account))

    def settled(self, kind: str, name: str) -> Floats:
        """The same without what began less than a day ago, long after its account did: an attack would be its own normal after an hour."""
        age_ms = self.of(kind, "age_ms")
        is_young = (age_ms < 24 * HOUR_MS) & (self.of("account", "age_ms") - age_ms >= WATCHED_H * HOUR_MS)
        return np.where(is_young, 0.0, self.normal(kind, name))

    def before(self, kind: str, name: str) -> Floats:
        """The same before yesterday, where the account was watched for six hours before it: a day and a night of fraud are no normal."""
        hours = self.of("account", "old_hours")
        return np.where(hours >= WATCHED_H, self.of(kind, f"old_{name}") / np.maximum(hours, 1.0), self.normal(kind, name))

    def __getitem__(self, name: str) -> Any:
        return self._column(name)


def log_odds(parts: Sequence[Part]) -> Floats:
    return np.asarray(PRIOR + sum(part.points for part in parts))


def probability(odds: Floats) -> Floats:
    """
    >>> probability(np.asarray([0.0, 3.0])).round(2).tolist()
    [0.5, 0.95]
    """
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def contributions(parts: Sequence[Part]) -> list[Contribution]:
    """Of the first row: what counts, the most first."""
    found = [
        Contribution(part.code, round(float(part.points[0]), 2), float(f"{part.value[0]:.4g}"), float(f"{part.normal[0]:.4g}"))
        for part in parts
        if abs(part.points[0]) >= 0.05
    ]
    return sorted(found, key=lambda one: (-abs(one.points), one.code))


# --- contributions that several detectors use ---


def trust(rows: Rows) -> Floats:
    """How far an account's normal can be relied on: a quarter in the first hour that it is watched, half after two, nine tenths after a day."""
    hours = rows.of("account", "hours")
    return np.asarray((hours + 1.0) / (hours + 4.0))


def rate(rows: Rows, kind: str, most: float = 4.0, *, name: str = "calls") -> Part:
    """Calls now against the subject's normal at this hour."""
    now = rows.of(kind, name)
    normal = rows.normal(kind, name) * rows.of("account", "hour_share") * WINDOW_H
    return Part("rate", np.clip(np.log((now + 0.5) / (normal + 0.5)), -2.0, most) * trust(rows), now, normal)


def rate_there(rows: Rows, kind: str) -> Part:
    """Calls to a destination now against what is settled there at this hour."""
    now, normal = rows.of(kind, "calls"), rows.settled(kind, "calls") * rows.of("account", "hour_share") * WINDOW_H
    return Part("rate", np.clip(np.log((now + 0.5) / (normal + 0.5)), -2.0, 4.0) * trust(rows), now, normal)


def rate_of_day(rows: Rows, kind: str) -> Part:
    """Answered calls of a day against the normal of a day."""
    now, normal = rows.of(kind, "day_answers"), rows.before(kind, "answers") * 24
    return Part("rate_day", np.clip(np.log((now + 0.5) / (normal + 0.5)), -2.0, 3.0) * trust(rows), now, normal)


def new_zone(rows: Rows) -> Part:
    """A zone that the account has called for less than a day; less for an account that calls new zones every day, and in a country of its own."""
    often = rows.of("account", "day_new_zones")
    is_new = rows.of("account_zone", "age_ms") < 24 * HOUR_MS
    points = np.clip(2.5 - np.log1p(often), 0.0, 2.5) * is_new * np.where(fresh_country(rows), 1.0, 0.3) * trust(rows)
    return Part("new_zone", points, rows.of("account_zone", "age_ms") / HOUR_MS, often)


def fresh_country(rows: Rows) -> npt.NDArray[np.bool_]:
    """Whether the country is none of the account's own."""
    return is_fresh(rows.of("account_zone", "country_age_ms"), rows.of("account", "age_ms"))


def new_range(rows: Rows) -> Part:
    """The same of a range."""
    often = rows.of("account", "day_new_ranges")
    points = np.clip(1.0 - 0.25 * np.log1p(often), 0.0, 1.0) * (rows.of("account_range", "age_ms") < 24 * HOUR_MS) * trust(rows)
    return Part("new_range", points, rows.of("account_range", "age_ms") / HOUR_MS, often)


def price(rows: Rows, kind: str) -> Part:
    """Money per answered call against the account's normal."""
    return priced(rows, rows.of(kind, "money") / np.maximum(rows.of(kind, "answers"), 0.5))


def risk(rows: Rows) -> Part:
    """The kind of number: premium 2.5, satellite 1.9, unallocated 1.5 (`detectors.risk.WEIGHTS`)."""
    weight = np.maximum(rows["weight"], 1.0)
    return Part("risk", 1.4 * np.log(weight), weight, np.ones_like(weight))


def known(rows: Rows) -> Part:
    """The call goes into a range that was used for fraud before, by a list that carriers share or by our own judgement (`core.known`)."""
    points = np.asarray(rows["known_points"], np.float64)
    return Part("known", points, np.asarray(rows["known_days"], np.float64), np.zeros_like(points))


def share(rows: Rows, kind: str) -> Part:
    """The subject's share of all calls of its account."""
    of_all = rows.of(kind, "calls") / np.maximum(rows.of("account", "calls"), 1e-9)
    return Part("share", np.clip(2.0 * (of_all - 0.25), -0.5, 1.5), of_all, np.full_like(of_all, 0.25))


def spending(rows: Rows, kind: str) -> Part:
    """Money per hour against that of the whole account, which is taken to be at least 1 per hour."""
    now = rows.of(kind, "money") * rows["unit"] / WINDOW_H
    normal = rows.before("account", "money") * rows["unit"]
    return Part("spending", np.clip(0.8 * np.log(np.maximum(now, 1e-6) / (normal + 1.0)), 0.0, 2.5) * trust(rows), now, normal)


def overlap(rows: Rows, kind: str) -> Part:
    """Answered calls at the same time: a machine, or several stolen lines. One person holds one call; an account that talks two hours per hour
    at this time of the day has nearly always another call."""
    at_once, answers = rows.of(kind, "overlaps"), np.maximum(rows.of(kind, "answers"), 1.0)
    usual = 1.0 - np.exp(-rows.settled(kind, "talk_min") / 60 * rows.of("account", "hour_share"))
    points = np.where(at_once >= 1.5, 3.0 * np.minimum(at_once / answers, 1.0) * (1.0 - usual), 0.0)
    return Part("overlap", points, at_once, usual * answers)


def conference(rows: Rows, kind: str) -> Part:
    """One number, and no caller stands out: a meeting. Who pumps calls has few lines, or several numbers."""
    is_one = (rows.of(kind, "lead_b") > 0.8) & (rows.of(kind, "lead") < 0.4) & (rows.of(kind, "day_calls") >= 4)
    return Part("conference", np.where(is_one, -4.0, 0.0), rows.of(kind, "lead_b"), rows.of(kind, "lead"))


def conversation(rows: Rows, kind: str) -> Part:
    """One caller, one number, one call after the other: somebody who tries again, or talks at length."""
    points = np.where((rows.of(kind, "overlaps") < 1.5) & (rows.of(kind, "lead_b") > 0.5) & (rows.of(kind, "callers") < 2.5), -3.0, 0.0)
    return Part("conversation", points, rows.of(kind, "lead_b"), np.zeros_like(points))


def off_hours(rows: Rows) -> Part:
    """An hour at which the account hardly ever calls."""
    usual = rows.of("account", "hour_share")
    return Part("off_hours", np.clip(-np.log(np.maximum(usual, 0.01) / 0.5), 0.0, 1.5), usual, np.ones_like(usual))


def answered(rows: Rows, kind: str) -> Part:
    """Fraud for revenue share is answered nearly always, calls to people are not: the log-likelihood of so many answers and misses under an answered
    share of `FRAUD_ASR` against the account's own, which is taken to be `LEAST_ASR` to `MOST_ASR`; now or over a day, whichever says less."""
    normal = _own_asr(rows)
    now, missed, day = rows.of(kind, "answers"), rows.of(kind, "misses"), rows.of(kind, "day_answers")
    gains = [
        answers * np.log(FRAUD_ASR / normal) + misses * np.log((1 - FRAUD_ASR) / (1 - normal))
        for answers, misses in ((now, missed), (day, np.maximum(rows.of(kind, "day_calls") - day, 0.0)))
    ]
    share = day / np.maximum(rows.of(kind, "day_calls"), 1e-9)
    return Part("answered", np.clip(0.7 * np.minimum(*gains), -4.0, 2.5), share, normal)


def answered_of(rows: Rows, answers: Floats, misses: Floats, most: float) -> Part:
    """The same of some of the account's calls."""
    normal = _own_asr(rows)
    gain = answers * np.log(FRAUD_ASR / normal) + misses * np.log((1 - FRAUD_ASR) / (1 - normal))
    return Part("answered", np.clip(0.7 * gain, -6.0, most), answers / np.maximum(answers + misses, 1e-9), normal)


def _own_asr(rows: Rows) -> Floats:
    own = (rows.before("account", "answers") * 24 + 6) / (rows.before("account", "calls") * 24 + 10)
    return np.clip(own, LEAST_ASR, MOST_ASR)


def fresh_answered(rows: Rows, kind: str) -> Part:
    """`answered`, and over all fresh countries of the account together, whichever says less: who opens several of them with few calls each says
    little in one."""
    there, everywhere = answered(rows, kind), answered_of(rows, rows.of("account", "fresh_answers"), rows.of("account", "fresh_misses"), 2.5)
    is_less = everywhere.points < there.points
    return there._replace(points=np.where(is_less, everywhere.points, there.points), value=np.where(is_less, everywhere.value, there.value))


FRAUD_ASR, LEAST_ASR, MOST_ASR = 0.88, 0.4, 0.8
"""Answered calls of attempts: of attacks (published attacks have 75 to 98 %), and the range of honest accounts."""


def shorts(rows: Rows, kind: str, most: float = 5.0) -> Part:
    """The share of short answered calls against the account's normal: the log-likelihood of seeing so many of so many."""
    n, answers = rows.of(kind, "shorts"), np.maximum(rows.of(kind, "answers"), 1e-9)
    now = np.clip(n / answers, 0.02, 0.98)
    normal = np.clip((rows.of("account", "normal_shorts") * 24 + 3) / (rows.of("account", "normal_answers") * 24 + 20), 0.05, 0.9)
    gain = answers * (now * np.log(now / normal) + (1 - now) * np.log((1 - now) / (1 - normal)))
    return Part("shorts", np.where(now > normal, np.clip(0.5 * gain, 0.0, most), 0.0), now, normal)


def regular(rows: Rows, kind: str, points: float) -> Part:
    """Called on several earlier days: a regular destination of the account."""
    days = rows.of(kind, "days")
    return Part("regular", np.where(days >= REGULAR_DAYS, points, 0.0), days, np.full_like(days, REGULAR_DAYS))


REGULAR_DAYS = 3
"""On so many earlier days a destination is a regular one."""


def sequential(rows: Rows, kind: str) -> Part:
    """Calls to the next number, or the next but one."""
    of_all = rows.of(kind, "sequential") / np.maximum(rows.of(kind, "calls"), 1e-9)
    return Part("sequential", np.where(rows.of(kind, "calls") >= 4, np.clip(4.0 * (of_all - 0.2), 0.0, 2.5), 0.0), of_all, np.zeros_like(of_all))


def spread(rows: Rows) -> Part:
    """Calls to a zone that were the account's first into their range: people call the same few numbers."""
    of_all = rows.of("account_zone", "new_ranges") / np.maximum(rows.of("account_zone", "calls"), 1e-9)
    return Part("spread", np.clip(3.0 * (of_all - 0.5), 0.0, 1.5) * trust(rows), of_all, np.full_like(of_all, 0.5))


def spread_of_day(rows: Rows) -> Part:
    """The same over a day."""
    of_all = rows.of("account_zone", "day_new_ranges") / np.maximum(rows.of("account_zone", "day_calls"), 1e-9)
    return Part("spread", np.clip(5.0 * (of_all - 0.4), -2.0, 2.5), of_all, np.full_like(of_all, 0.4))


def price_of_day(rows: Rows, kind: str) -> Part:
    """Money per answered call of a day against the account's normal."""
    now = rows.of(kind, "day_money") / np.maximum(rows.of(kind, "day_answers"), 0.5)
    return priced(rows, now)


def price_of_zone(rows: Rows) -> Part:
    """The same for the zone of the call, now."""
    now = rows.of("account_zone", "day_money") / np.maximum(rows.of("account_zone", "day_answers"), 0.5)
    return priced(rows, now)


def priced(rows: Rows, now: Floats) -> Part:
    """A price per answered call against the account's normal."""
    answers, money = rows.before("account", "answers"), rows.before("account", "money")
    normal = money / np.maximum(answers, 0.02)
    known = (answers > 0.02) & (normal > 0) & (now > 0)
    points = np.where(known, np.clip(np.log(np.maximum(now, 1e-6) / np.maximum(normal, 1e-6)), -1.0, 2.5), 0.0)
    return Part("price", points * trust(rows), now, normal)


def fresh(rows: Rows) -> Part:
    """Money per hour to fresh countries, against what the account spends on its own ones: usually, or now if that is more. On a holiday everything
    rises; a thief does not call the account's friends."""
    now = rows.of("account", "fresh_money")
    own = np.maximum(rows.before("account", "money"), (rows.of("account", "money") - now) / WINDOW_H) * rows["unit"]
    now = now * rows["unit"] / WINDOW_H
    return Part("fresh", np.clip(np.log(np.maximum(now, 1e-6) / (own + 1.0)), -2.0, 4.0) * trust(rows), now, own)


def fresh_of_day(rows: Rows, most: float = 4.0) -> Part:
    """The same over a day."""
    return spent_of_day(rows, rows.of("account", "day_fresh_money"), most)


def spent_of_day(rows: Rows, now: Floats, most: float = 4.0) -> Part:
    """A part of the money that an account spends in a day, against the rest or a usual day."""
    own = np.maximum(rows.before("account", "money") * 24, rows.of("account", "day_money") - now) * rows["unit"]
    now = now * rows["unit"]
    return Part("fresh_day", np.clip(np.log(np.maximum(now, 1e-6) / (own + 2.0)), -1.0, most) * trust(rows), now, own)


def excess(rows: Rows, kind: str) -> Part:
    """Money of a day there, against a usual day of the whole account and 5 more: what a slow fraud cannot hide, and a fast one reaches soon."""
    now, normal = rows.of(kind, "day_money") * rows["unit"], rows.before("account", "money") * rows["unit"] * 24 + 5.0
    return Part("excess", np.clip(np.log(np.maximum(now, 1e-6) / normal), 0.0, 3.0) * trust(rows), now, normal)


def money(rows: Rows, kind: str) -> list[Part]:
    """`price`, `spending` and `excess`, together at most `MOST_MONEY`: they say much the same, and one dear call home has all of them."""
    parts = [price(rows, kind), spending(rows, kind), excess(rows, kind)]
    total = sum(np.maximum(part.points, 0.0) for part in parts)
    share = np.minimum(1.0, MOST_MONEY / np.maximum(total, 1e-9))
    return [part._replace(points=np.where(part.points > 0, part.points * share, part.points)) for part in parts]


MOST_MONEY = 5.0


def zones(rows: Rows, most: float = 3.0) -> Part:
    """Zones that the account calls for the first time now, against those of its days before."""
    now = rows.of("account", "new_zones")
    normal = np.maximum(rows.of("account", "day_new_zones") - now, 0.0)
    points = np.clip(2.0 * (now - 1.0), 0.0, most) - 0.3 * np.log1p(normal)
    return Part("zones", np.clip(points, 0.0, most) * trust(rows), now, normal)


def brief(rows: Rows, kind: str) -> Part:
    """Calls that nobody answered, or that ended within seconds: nobody talks."""
    of_all = np.clip((rows.of(kind, "shorts") + rows.of(kind, "misses")) / np.maximum(rows.of(kind, "calls"), 1e-9), 0.0, 1.0)
    return Part("shorts", np.clip(6.0 * (of_all - 0.5), -3.0, 3.0), of_all, np.full_like(of_all, 0.5))


def countries(rows: Rows) -> Part:
    """Countries that the account called for the first time in a day: a family far away is one, guests of a house or a fraud are several. Who calls
    much finds new ones by himself."""
    now, usual = rows.of("account", "day_countries"), rows.before("account", "calls")
    return Part("countries", np.clip(2.0 * (now - 2.0), -3.0, 3.0) - 0.4 * np.log1p(usual), now, usual)


def busy(rows: Rows) -> Part:
    """An account with many calls reaches new destinations by itself."""
    calls = rows.of("account", "calls")
    return Part("volume", -np.log1p(np.maximum(calls - 5.0, 0.0) / 5.0), calls, np.full_like(calls, 5.0))


VOLUMES = {"rings": "given_up", "day_money": "day_money"}
"""Codes of numbers that are no calls."""


def volume(rows: Rows, kind: str, name: str, normal: float, most: float) -> Part:
    """A number of the subject against what an ordinary one has at most; money in the policy's units."""
    now = rows.of(kind, name) * (rows["unit"] if name.endswith("money") else 1.0)
    return Part(VOLUMES.get(name, "volume"), np.clip(1.5 * np.log(np.maximum(now, 1e-6) / normal), 0.0, most), now, np.full_like(now, normal))


def distinct(rows: Rows, kind: str) -> Part:
    """Different b_numbers per call: a machine calls each once."""
    per_call = np.minimum(rows.of(kind, "distinct") / np.maximum(rows.of(kind, "calls"), 1e-9), 1.0)
    return Part("distinct", np.clip(8.0 * (per_call - 0.6), -3.0, 3.0), per_call, np.full_like(per_call, 0.6))


def distinct_of_day(rows: Rows, kind: str) -> Part:
    """The same over a day."""
    per_call = np.minimum(rows.of(kind, "day_distinct") / np.maximum(rows.of(kind, "day_calls"), 1e-9), 1.0)
    return Part("distinct", np.clip(8.0 * (per_call - 0.6), -3.0, 3.0), per_call, np.full_like(per_call, 0.6))


def talk(rows: Rows, kind: str, least_min: float = 0.5) -> Part:
    """Minutes per answered call: people talk."""
    minutes = rows.of(kind, "day_talk_min") / np.maximum(rows.of(kind, "day_answers"), 0.5)
    asr = rows.of(kind, "day_answers") / np.maximum(rows.of(kind, "day_calls"), 1e-9)
    return Part("talk", np.where((minutes >= least_min) & (asr > 0.25), 2.0, -4.0), minutes, np.full_like(minutes, least_min))


def ringing(rows: Rows) -> Part:
    """Calls from a block of numbers that were given up at once."""
    of_all = rows.of("a_range", "rings") / np.maximum(rows.of("a_range", "calls"), 1e-9)
    return Part("rings", np.clip(8.0 * (of_all - 0.5), -4.0, 4.0), of_all, np.full_like(of_all, 0.1))


def repeats(rows: Rows) -> Part:
    """The same caller to the same number within seconds of the call before."""
    again = rows.of("a_number", "repeats")
    return Part("repeats", np.clip(4.0 * np.log(np.maximum(again, 1e-6) / 1.0), 0.0, 12.0), again, np.ones_like(again))


def age(rows: Rows) -> Part:
    """A new account: 3 on its first day, 1 after five."""
    days = rows.of("account", "age_ms") / (24 * HOUR_MS)
    return Part("age", np.clip(3.0 - 0.4 * days, 0.0, 3.0), days, np.full_like(days, 7.0))


def dear(rows: Rows) -> Part:
    """Money per minute of the zone: an ordinary call costs a few cents."""
    per_min = rows.of("account_zone", "day_money") * rows["unit"] / np.maximum(rows.of("account_zone", "day_talk_min"), 0.5)
    return Part("per_minute", np.clip(2.0 * np.log(np.maximum(per_min, 1e-6) / 0.1), -3.0, 4.0), per_min, np.full_like(per_min, 0.1))


def one_line(rows: Rows) -> Part:
    """Different a_numbers of the account now: a subscriber has a few, a carrier who sends others' calls has hundreds."""
    callers = rows.of("account", "callers")
    return Part("callers", np.clip(-1.5 * np.log(np.maximum(callers, 1e-6) / 4.0), -4.0, 0.0), callers, np.full_like(callers, 4.0))


def share_of_day(rows: Rows, kind: str) -> Part:
    """The subject's share of the account's money in a day: who spends all he can does it at a few destinations, an ordinary new customer at many."""
    of_all = rows.of(kind, "day_money") / np.maximum(rows.of("account", "day_money"), 1e-9)
    return Part("day_share", np.clip(np.log(np.maximum(of_all, 1e-6) / 0.2), -3.0, 1.5), of_all, np.full_like(of_all, 0.2))
