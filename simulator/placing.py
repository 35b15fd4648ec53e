"""Helpers with which families and look-alikes place calls: lines that redial, times, targets, budgets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from simulator.callers import radio, who
from simulator.columns import Array, Floats, Ints, calls
from simulator.outcomes import carriers, conversation_ms, outcomes
from simulator.places import unallocated
from simulator.plan import Plan
from simulator.town import Town

REVENUE_SHARE = ("CU", "SO", "BA", "EE", "LV", "GN", "RS", "SL", "LT", "GB", "GM", "TL", "TN", "MV", "MG", "ST")
"""Where revenue share fraud ends: the ten most frequent countries of the CFCA Global Fraud Loss Survey 2015, then those of operators' stories."""


class Target(NamedTuple):
    """A range that somebody gets a share for: its leading digits, how many digits are open, and the destination that prices it."""

    head: str
    open_digits: int
    place: int

    def wide(self, open_digits: int) -> Target:
        """The block of `10 ** open_digits` numbers around it."""
        more = max(open_digits - self.open_digits, 0)
        return Target(self.head[: len(self.head) - more], self.open_digits + more, self.place)

    def numbers(self, ends: Array) -> Ints:
        """The numbers with these last digits."""
        found: Ints = int(self.head) * 10**self.open_digits + ends % 10**self.open_digits
        return found


def targets(rng: np.random.Generator, town: Town, how_many: int, kinds: tuple[str, ...] = ("premium", "unallocated", "mobile")) -> list[Target]:
    """Ranges for revenue share. Most test numbers that resellers advertise lie in ordinary mobile and fixed ranges, not in premium ones, and many
    in ranges that no regulator assigned (M. Sahin and A. Francillon, "Understanding and Detecting International Revenue Share Fraud", NDSS 2021)."""
    found = []
    for _ in range(how_many):
        region, kind = str(rng.choice(REVENUE_SHARE)), str(rng.choice(kinds))
        if kind == "unallocated":
            found.append(Target(unallocated(region, rng), 3, town.places.of[region, "fixed"]))
            continue
        place = town.places.of[region, kind]
        number = str(town.places.numbers(np.array([place]), rng.integers(0, 2**62, 1).astype(np.uint64))[0])
        open_digits = int(rng.integers(2, 5))
        found.append(Target(number[:-open_digits], open_digits, place))
    return found


def redial(rng: np.random.Generator, plan: Plan, lines: int, talk_s: Floats | float, gap_s: float, build_up_s: float) -> tuple[Ints, Ints]:
    """Setup times and talk times of `lines` that redial when a call ends, the last of them starting `build_up_s` after the first.

    `talk_s`: the median. The times stand in order of setup.
    """
    span_ms = plan.end_ms - plan.start_ms
    mean_s = float(np.mean(talk_s)) * 1.1 + gap_s + 8
    each = int(min(span_ms / 1000 / mean_s * 2 + 3, 20_000))
    talk_ms = (1000 * rng.lognormal(np.log(talk_s), 0.45, (lines, each))).astype(np.int64).clip(500)
    waits_ms = (1000 * rng.exponential(gap_s, (lines, each))).astype(np.int64) + rng.integers(4000, 12_000, (lines, each))
    begin = (1000 * build_up_s * np.arange(lines) / lines).astype(np.int64)[:, None]
    setup = plan.start_ms + begin + np.cumsum(talk_ms + waits_ms, axis=1) - talk_ms - waits_ms
    setup, talk_ms = setup.ravel(), talk_ms.ravel()
    order = np.argsort(setup, kind="stable")
    order = order[setup[order] < plan.end_ms]
    return setup[order], talk_ms[order]


def moments(rng: np.random.Generator, plan: Plan, n: int) -> Ints:
    """`n` random times of a plan, in order."""
    return np.sort(rng.integers(plan.start_ms, max(plan.end_ms, plan.start_ms + 1), n))


def placed(
    rng: np.random.Generator, town: Town, plan: Plan, setup_ms: Ints, place: Array | int, b_number: Array, *,
    talk_ms: Ints | None = None, median_s: float = 75.0, answered: float | Floats = 0.6, callers: Array | None = None,
    account: Array | int | None = None, ring_s: float = 6.5, carrier: Ints | None = None, **others: Any,
) -> pl.DataFrame:  # fmt: skip
    """Calls of an account (the plan's, unless `account` names others). `callers`: the numbers presented, at random from the account's by default;
    `others` overrides columns."""
    n = len(setup_ms)
    accounts = np.broadcast_to(np.asarray(plan.account if account is None else account), (n,))
    where = np.broadcast_to(np.asarray(place), (n,))
    if callers is None:
        callers = town.number[town.first[accounts] + (town.size[accounts] * rng.random(n)).astype(np.int64)]
    if talk_ms is None:
        talk_ms = conversation_ms(rng, n, median_s)
    chosen = carriers(rng, where) if carrier is None else carrier
    columns = who(town, accounts, callers) | outcomes(rng, answered, talk_ms, chosen, ring_s) | radio(rng, town, accounts)
    return calls(n, setup_ms=setup_ms, b_number=b_number, **(columns | others))


def within_budget(frame: pl.DataFrame, cost_eur: Array, budget_eur: float) -> pl.DataFrame:
    """The calls of an attacker who stops when his share adds up: by buy price per minute, begun minutes."""
    minutes = np.ceil(frame["talk_ms"].fill_null(0).to_numpy() / 60_000)
    return frame.filter(pl.Series(np.cumsum(minutes * cost_eur) - minutes * cost_eur <= budget_eur))


def unanswered(frame: pl.DataFrame, rows: pl.Expr | pl.Series, ring_ms: pl.Expr) -> pl.DataFrame:
    """The frame with these calls given up by the caller while they rang."""
    rows = pl.lit(rows) if isinstance(rows, pl.Series) else rows
    return frame.with_columns(
        talk_ms=pl.when(rows).then(None).otherwise("talk_ms"), ring_ms=pl.when(rows).then(ring_ms).otherwise("ring_ms"),
        sip_code=pl.when(rows).then(487).otherwise("sip_code").cast(pl.Int32), q850=pl.when(rows).then(16).otherwise("q850").cast(pl.Int32),
        release_side=pl.when(rows).then(pl.lit("caller")).otherwise("release_side"),
    )  # fmt: skip


def few(rng: np.random.Generator, numbers: Ints, how_many: int) -> Ints:
    """Some of the numbers, each once."""
    return rng.choice(numbers, min(how_many, len(numbers)), replace=False)


def at_random(rng: np.random.Generator, values: Array, n: int) -> Array:
    """`n` values, with repetition."""
    return np.asarray(values)[rng.integers(0, len(values), n)]
