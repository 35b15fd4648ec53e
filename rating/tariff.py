"""What a row of a deck charges: steps with prices and increments, fees, free seconds, and what bounds the amount.

    steps       0.06/60 60+60, from 60: 0.03/60 1+1   is written   0:0.06/60:60 60:0.03/60:1
    a step      from a second of the call, a price per so many seconds, charged in whole increments

An increment is charged whole, at the price of the step in which it begins. Seconds are those of the call after its free ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import lcm
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.money import MAX_NANOS, to_nanos, to_text

MAX_STEPS = 16
MAX_STEP_S = 7 * 24 * 3600
MAX_DENOMINATOR = 2**31
"""Of the seconds that the prices of a tariff are per: a fraction of it times 1e9 stays inside int64."""
NEVER_S = 2**62

Ints = npt.NDArray[np.int64]


class Step(NamedTuple):
    """From `start_s` of the call until the next step: `price_nanos` per `per_s` seconds, charged in whole increments of `increment_s`."""

    start_s: int
    price_nanos: int
    per_s: int
    increment_s: int


class Tariff(NamedTuple):
    """Money in nanos of the deck's currency, times in seconds; None = without a limit."""

    steps: tuple[Step, ...]
    connect_nanos: int = 0  # once for an answered call, where anything is charged
    attempt_nanos: int = 0  # for every attempt, answered or not
    first_is_minimum: bool = False  # the first step is charged whole, however short the call
    free_s: int = 0  # deducted from the call
    grace_s: int = 0  # a call up to this long costs nothing; a longer one is charged from its first second
    min_s: int = 0  # the shortest time charged; a call that has one has no grace
    min_nanos: int = 0  # of the call, without its attempt fee
    max_nanos: int | None = None
    surcharge_nanos: int = 0  # once, when the call lasts longer than `surcharge_after_s`
    surcharge_after_s: int = 0
    reverse: bool = False  # the party is paid
    reject: bool = False  # no call may go there: a quote says so, and a call that went there all the same is not priced
    units_per_s: int = 1  # its times are in seconds, or in parts of them (`in_units`)

    @property
    def per_min_nanos(self) -> int:
        """The first step's price per minute, where it is a whole number of nanos; else the nearest below."""
        return self.steps[0].price_nanos * 60 * self.units_per_s // self.steps[0].per_s

    @property
    def is_plain(self) -> bool:
        """Whether it is one price per minute with a first and further increments, and fees: nothing else."""
        first, *rest = self.steps
        return (
            self[3:] == PLAIN[3:]
            and first.per_s == 60
            and (not rest or (len(rest) == 1 and rest[0].start_s == first.increment_s and rest[0][1:3] == first[1:3]))
        )


PLAIN = Tariff((Step(0, 0, 60, 1),))


def per_minute(price_nanos: int, first_s: int, next_s: int, connect_nanos: int = 0, attempt_nanos: int = 0) -> Tariff:
    """The tariff of most price lists: a price per minute, a first increment and further ones.

    >>> per_minute(60, 30, 6).steps
    (Step(start_s=0, price_nanos=60, per_s=60, increment_s=30), Step(start_s=30, price_nanos=60, per_s=60, increment_s=6))
    """
    first = Step(0, price_nanos, 60, first_s)
    steps = (first,) if first_s == next_s else (first, Step(first_s, price_nanos, 60, next_s))
    return Tariff(steps, connect_nanos, attempt_nanos)


@lru_cache(maxsize=65_536)
def parse_steps(text: str, price: Callable[[str], int] = to_nanos) -> tuple[Step, ...]:
    """Steps as a deck writes them, `START:PRICE/SECONDS:INCREMENT` each. `price`: reads a price.

    >>> parse_steps("0:0.06/60:60 60:0.03/60:1")[1]
    Step(start_s=60, price_nanos=30000000, per_s=60, increment_s=1)
    >>> parse_steps("0:0.06/60")
    Traceback (most recent call last):
    ...
    ValueError: step '0:0.06/60' is none: write START:PRICE/SECONDS:INCREMENT, as 0:0.06/60:60
    """
    steps: list[Step] = []
    for part in text.split():
        found = re.fullmatch(r"(\d{1,6}):([^:/]+)/(\d{1,6}):(\d{1,6})", part, re.ASCII)
        if not found:
            raise ValueError(f"step {part[:60]!r} is none: write START:PRICE/SECONDS:INCREMENT, as 0:0.06/60:60")
        steps.append(Step(int(found[1]), price(found[2]), int(found[3]), int(found[4])))
    return check_steps(steps)


def check_steps(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps, or `ValueError` with what is wrong with them."""
    if not 1 <= len(steps) <= MAX_STEPS:
        raise ValueError(f"{len(steps)} steps: 1 to {MAX_STEPS} are needed")
    if steps[0].start_s:
        raise ValueError(f"the first step starts at second {steps[0].start_s}: write one that starts at 0")
    for one, other in pairwise(steps):
        if other.start_s <= one.start_s:
            raise ValueError(f"step at second {other.start_s} does not come after the one at {one.start_s}")
    for step in steps:
        if not 1 <= step.per_s <= MAX_STEP_S or not 1 <= step.increment_s <= MAX_STEP_S or step.start_s > MAX_STEP_S:
            raise ValueError(f"step at second {step.start_s}: start, seconds per price and increment must be 1 to {MAX_STEP_S} seconds")
        if step.price_nanos < 0:
            raise ValueError(f"step at second {step.start_s}: its price is negative; a party that is paid has reverse=yes")
        if step.price_nanos > MAX_NANOS // step.per_s:  # the part of a price below its unit stays inside int64
            raise ValueError(f"step at second {step.start_s}: its price is outside the range of a price")
    if lcm(*(step.per_s for step in steps)) > MAX_DENOMINATOR:
        raise ValueError(f"the prices are per {', '.join(str(step.per_s) for step in steps)} seconds: that has no common measure in range")
    return tuple(steps)


def in_units(tariff: Tariff, per_s: int) -> Tariff:
    """A tariff with its times in units of which a second has `per_s`. An increment of a second, the least that a deck can say, is then one unit.

    >>> in_units(per_minute(60, 30, 1), 10).steps
    (Step(start_s=0, price_nanos=60, per_s=600, increment_s=300), Step(start_s=300, price_nanos=60, per_s=600, increment_s=1))
    """
    steps = tuple(Step(s.start_s * per_s, s.price_nanos, s.per_s * per_s, s.increment_s * per_s if s.increment_s > 1 else 1) for s in tariff.steps)
    return tariff._replace(
        steps=steps, free_s=tariff.free_s * per_s, grace_s=tariff.grace_s * per_s, min_s=tariff.min_s * per_s,
        surcharge_after_s=tariff.surcharge_after_s * per_s, units_per_s=per_s,
    )  # fmt: skip


def steps_text(steps: Sequence[Step]) -> str:
    """As `parse_steps` reads them.

    >>> steps_text(parse_steps("0:0.06/60:60 60:0.03/60:1"))
    '0:0.06/60:60 60:0.03/60:1'
    """
    return " ".join(f"{step.start_s}:{to_text(step.price_nanos)}/{step.per_s}:{step.increment_s}" for step in steps)


def _dearest(tariff: Tariff) -> float:
    """The highest price per second; infinite where products of the tariff would not fit 64 bits, so that its calls are priced one by one."""
    if lcm(*(step.per_s for step in tariff.steps)) > MAX_DENOMINATOR or any(s.price_nanos > MAX_NANOS // s.per_s for s in tariff.steps):
        return math.inf
    return max(step.price_nanos / step.per_s for step in tariff.steps)


class TariffColumns:
    """The tariffs of a deck as arrays; of their steps, one row per step."""

    def __init__(self, tariffs: tuple[Tariff, ...]) -> None:
        def ints(values: list[int]) -> Ints:
            return np.asarray(values, np.int64)

        self.all_plain = all(tariff.is_plain for tariff in tariffs)
        self.per_min = ints([tariff.per_min_nanos for tariff in tariffs])
        self.connect, self.attempt = ints([tariff.connect_nanos for tariff in tariffs]), ints([tariff.attempt_nanos for tariff in tariffs])
        self.first_s = ints([tariff.steps[0].increment_s for tariff in tariffs])
        self.next_s = ints([tariff.steps[-1].increment_s for tariff in tariffs])
        self.dearest = np.asarray([_dearest(tariff) for tariff in tariffs])
        self.free_s = ints([tariff.free_s for tariff in tariffs])
        if self.all_plain:
            return
        self.min_s, self.grace_s = ints([tariff.min_s for tariff in tariffs]), ints([tariff.grace_s for tariff in tariffs])
        self.surcharge = ints([tariff.surcharge_nanos for tariff in tariffs])
        self.surcharge_after_s = ints([tariff.surcharge_after_s for tariff in tariffs])
        self.least = ints([tariff.min_nanos for tariff in tariffs])
        self.most = ints([MAX_NANOS if tariff.max_nanos is None else tariff.max_nanos for tariff in tariffs])
        self.first_is_minimum = np.asarray([tariff.first_is_minimum for tariff in tariffs], np.bool_)
        self.reverse = np.asarray([tariff.reverse for tariff in tariffs], np.bool_)
        self.reject = np.asarray([tariff.reject for tariff in tariffs], np.bool_)
        self.most_steps = max(len(tariff.steps) for tariff in tariffs)
        self.below = ints([lcm(*(step.per_s for step in tariff.steps)) for tariff in tariffs])
        blank = (NEVER_S, 0, 1, 1)  # behind its last step a tariff has none that begins
        steps = [[*((nxt, *step[1:]) for step, nxt in zip(t.steps, [*(s.start_s for s in t.steps[1:]), NEVER_S], strict=True))] for t in tariffs]
        table = np.asarray([[*one, *[blank] * (self.most_steps - len(one))] for one in steps], np.int64)
        self.limit, self.price, self.per, self.increment = table.transpose(2, 1, 0)
