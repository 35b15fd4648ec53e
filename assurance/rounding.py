"""From exact nanos to the smallest unit of a currency, so that the lines of an invoice add up to its total."""

from __future__ import annotations

from collections.abc import Sequence

from core.money import divide_half_up

WHOLE = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
THOUSANDTHS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
DECIMALS = dict.fromkeys(WHOLE, 0) | dict.fromkeys(THOUSANDTHS, 3)
"""Currencies whose smallest unit is not a hundredth (ISO 4217)."""

RULE = (
    "Amounts are exact to 9 decimals; the net total is rounded once, half up, to the currency's smallest unit. Each line is rounded down, and "
    "what is left of the net total goes, one unit each, to the lines with the largest remainders, the first ones first."
)


def decimals_of(currency: str) -> int:
    """
    >>> decimals_of("EUR"), decimals_of("JPY"), decimals_of("KWD")
    (2, 0, 3)
    """
    return DECIMALS.get(currency, 2)


def to_minor(nanos: int, decimals: int) -> int:
    """Nanos in the smallest unit, rounded half away from zero.

    >>> to_minor(1_005_000_000, 2), to_minor(-1_005_000_000, 2), to_minor(499_999_999, 0)
    (101, -101, 0)
    """
    return divide_half_up(nanos, int(10 ** (9 - decimals)))


def to_nanos(minor: int, decimals: int) -> int:
    """The inverse of `to_minor`, exact."""
    return minor * int(10 ** (9 - decimals))


def allocated(nanos: Sequence[int], decimals: int) -> list[int]:
    """Amounts in the smallest unit that add up to their rounded sum: each is less than a unit from its exact value.

    >>> allocated([3_333_333_333, 3_333_333_333, 3_333_333_334], 2)
    [333, 333, 334]
    >>> sum(allocated([5_000_000, 5_000_000], 2)), allocated([-5_000_000, 5_000_000], 2)
    (1, [0, 0])
    """
    unit = int(10 ** (9 - decimals))
    parts = [divmod(one, unit) for one in nanos]
    left = to_minor(sum(nanos), decimals) - sum(whole for whole, _ in parts)
    order = sorted(range(len(parts)), key=lambda at: (-parts[at][1], at))
    lucky = set(order[:left])
    return [whole + (at in lucky) for at, (whole, _) in enumerate(parts)]
