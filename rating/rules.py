"""How an agreement applies its decks: local time, rounding, what a change of the price within a call does, tax and currency."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from core.config import Markup
from rating.window import Holidays, Ints, Zone, zone

Mode: TypeAlias = Literal["half_up", "half_even", "up", "down"]
Change: TypeAlias = Literal["call_start", "increment_start", "split"]
Instant: TypeAlias = Literal["setup", "answer", "end"]
Tax: TypeAlias = Literal["", "inclusive"]
MILLION = 1_000_000


@dataclass(frozen=True)
class Rules:
    """`change`: a price that changes within a call is that of the call's start throughout, that of each increment's start, or each its own
    seconds'. The amount of a call, converted and with its tax, is rounded once, to `decimals`.

    >>> Rules().is_plain, Rules(decimals=2).rounding
    (True, 'half up to 2 decimals')
    """

    time_zone: str = "UTC"
    holidays: tuple[tuple[str, tuple[int, ...]], ...] = ()  # (list, its days since 1970-01-01)
    change: Change = "call_start"
    rating_instant: Instant = "answer"  # whose price list prices the call
    seconds: Mode = "half_up"  # how talk time becomes whole units
    unit_ms: int = 1000  # in which talk time is counted: a second, or a part of one
    rounding_mode: Mode = "half_up"
    decimals: int = 9
    by_lrn: bool = False  # a ported number is priced by its LRN, not as it was dialled
    tax: Tax = ""  # whether the amount is gross
    tax_ppm: int = 0  # added to the amount; 0 in every agreement whose invoices add the tax
    fx: tuple[int, int] = (1, 1)  # the amount in the agreement's currency is that of the deck's times the first by the second
    fx_source: str = ""  # whose rate, and of which day
    currency: str = ""  # that it is converted to; "" = the deck's own
    markups: tuple[Markup, ...] = ()  # that raise the deck's prices, in this order

    @cached_property
    def zone(self) -> Zone:
        """The offsets of its time zone."""
        return zone(self.time_zone)

    @cached_property
    def holiday_sets(self) -> Holidays:
        """As `rating.window` takes them."""
        return {name: frozenset(days) for name, days in self.holidays}

    @cached_property
    def is_plain(self) -> bool:
        """Whether an amount in the deck's currency, rounded half up at 1e-9, is the amount."""
        return self.rounding_mode == "half_up" and self.decimals == 9 and self.tax_ppm == 0 and self.fx == (1, 1)

    @cached_property
    def unit_nanos(self) -> int:
        """What amounts are whole multiples of."""
        return int(10 ** (9 - self.decimals))

    @property
    def rounding(self) -> str:
        """How the amount is rounded, once, in words."""
        mode = self.rounding_mode.replace("_", " ")
        return f"{mode} at 1e-9" if self.decimals == 9 else f"{mode} to {self.decimals} decimals"


def rounded(numerator: int, denominator: int, unit: int, mode: Mode) -> int:
    """The multiple of `unit` that a fraction is rounded to; halves away from zero, or to the even multiple.

    >>> [rounded(numerator, 2, 1, mode) for mode in ("half_up", "half_even", "up", "down") for numerator in (3, 5)]
    [2, 3, 2, 2, 2, 3, 1, 2]
    """
    quotient, rest = divmod(abs(numerator), denominator * unit)
    twice = 2 * rest - denominator * unit
    if mode == "up":
        quotient += rest > 0
    elif mode != "down":
        quotient += twice > 0 or (twice == 0 and (mode == "half_up" or quotient % 2 == 1))
    return (quotient if numerator >= 0 else -quotient) * unit


def whole_units(duration_ms: int, mode: Mode, unit_ms: int = 1000) -> int:
    """Talk time in whole units: seconds, or parts of one.

    >>> [whole_units(2500, mode) for mode in ("half_up", "half_even", "up", "down")], whole_units(2449, "half_up", 100)
    ([3, 2, 3, 2], 24)
    """
    if mode == "half_up" and duration_ms >= 0:
        return (2 * duration_ms + unit_ms) // (2 * unit_ms)
    return rounded(duration_ms, unit_ms, 1, mode)


def whole_units_all(duration_ms: Ints, mode: Mode, unit_ms: int = 1000) -> Ints:
    """As `whole_units`, of many."""
    seconds, rest = np.divmod(duration_ms, unit_ms)
    if mode == "up":
        more = rest > 0
    elif mode == "down":
        more = np.zeros(len(rest), np.bool_)
    else:
        more = (2 * rest > unit_ms) | ((2 * rest == unit_ms) & ((mode == "half_up") | (seconds % 2 == 1)))
    found: Ints = seconds + more
    return found
