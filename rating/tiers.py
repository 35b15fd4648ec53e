"""What usage costs that is priced by its sum in a cycle: by steps of volume. Exact fractions; the order of the calls does not matter.

`graduated`: each unit at the price of the tier that it falls into. `volume`: all units at the price of the tier that the sum falls into.
`by_interval`: each tier has a width and is charged in whole intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple


class Tier(NamedTuple):
    """Units above the tier before it, up to `until` (inclusive, None = without end): a price per unit, and once a flat amount."""

    until: Fraction | None
    per_unit: Fraction
    flat: Fraction = Fraction(0)


class Interval(NamedTuple):
    """The next `width` units, charged in whole intervals of `interval` units at `price` each."""

    width: Fraction
    price: Fraction
    interval: Fraction


def graduated(units: Fraction, tiers: Sequence[Tier]) -> Fraction:
    """The flat amount of each tier that usage reaches, and each unit at its own tier's price. The first tier is reached by no usage at all.

    >>> tiers = [Tier(Fraction(10), Fraction(10), Fraction(2)), Tier(None, Fraction(5), Fraction(3))]
    >>> [int(graduated(Fraction(units), tiers)) for units in (0, 10, 11)]
    [2, 102, 110]
    """
    amount, below = Fraction(0), Fraction(0)
    for place, tier in enumerate(tiers):
        if place and units <= below:
            break
        upper = units if tier.until is None else min(units, tier.until)
        amount += tier.flat + (upper - below) * tier.per_unit
        below = upper
    return amount


def volume(units: Fraction, tiers: Sequence[Tier]) -> Fraction:
    """All units at the price of the tier that their sum falls into, and its flat amount; no usage costs nothing.

    >>> tiers = [Tier(Fraction(100), Fraction(2), Fraction(10)), Tier(None, Fraction(1))]
    >>> [int(volume(Fraction(units), tiers)) for units in (0, 100, 101)]
    [0, 210, 101]
    """
    if not units:
        return Fraction(0)
    tier = next((tier for tier in tiers if tier.until is None or units <= tier.until), None)
    return Fraction(0) if tier is None else tier.flat + units * tier.per_unit


def by_interval(units: Fraction, intervals: Sequence[Interval], access: Fraction = Fraction(0)) -> Fraction:
    """Each tier's width in whole intervals; what lies beyond the last is not charged. `access`: once, where there is usage.

    >>> int(by_interval(Fraction(10), [Interval(Fraction(4), Fraction(1), Fraction("3.5")), Interval(Fraction(2), Fraction(2), Fraction(1))]))
    6
    """
    amount, left = access if units else Fraction(0), units
    for tier in intervals:
        within = min(left, tier.width)
        amount += -(-within // tier.interval) * tier.price
        left -= within
    return amount
