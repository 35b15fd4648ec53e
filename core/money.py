"""Money: int64 nanos (1e-9 of the currency) for one call, exact integers throughout, `Decimal` only where people type or read.

>>> to_nanos("0.0123")
12300000
>>> to_text(12300000)
'0.0123'
"""

from __future__ import annotations

from decimal import Decimal

from core.decimals import plain

NANOS = 1_000_000_000
MAX_NANOS = 2**63 - 1
"""One call's amount and unit price fit an int64: 9.2 billion of the currency."""


def in_range(nanos: int) -> int:
    """A sum limited to the range of an int64: absurd amounts of a feed must not stop the flow.

    >>> in_range(5), in_range(2**70)
    (5, 9223372036854775807)
    """
    return max(-MAX_NANOS, min(nanos, MAX_NANOS))


def to_nanos(amount: str | int | Decimal) -> int:
    """Exact nanos of a decimal text in ASCII; a tenth digit after the point or a value beyond int64 is a `ValueError`.

    >>> to_nanos("-1.5"), to_nanos("15000")
    (-1500000000, 15000000000000)
    >>> to_nanos("0.0000000001")
    Traceback (most recent call last):
    ...
    ValueError: '0.0000000001' has more than 9 decimals
    """
    try:
        value = Decimal(plain(amount.strip(" ")) if isinstance(amount, str) else amount)
    except (ArithmeticError, TypeError, ValueError):
        raise ValueError(f"{amount!r} is not a decimal amount") from None
    if not value.is_finite():
        raise ValueError(f"{amount!r} is not a decimal amount")
    if abs(value.adjusted()) > 30:
        if value != 0:
            raise ValueError(f"{amount!r} is outside the range of an amount")
        return 0
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    number = int("".join(map(str, digits)) or "0")
    shift = exponent + 9
    if shift >= 0:
        nanos = number * int(10**shift)
    else:
        nanos, rest = divmod(number, int(10**-shift))
        if rest:
            raise ValueError(f"{amount!r} has more than 9 decimals")
    if nanos > MAX_NANOS:
        raise ValueError(f"{amount!r} is outside the range of an amount")
    return -nanos if sign else nanos


def to_decimal(nanos: int) -> Decimal:
    """The exact decimal value of nanos.

    >>> to_decimal(1)
    Decimal('1E-9')
    """
    return Decimal(nanos).scaleb(-9)


def to_text(nanos: int) -> str:
    """Plain decimal text, no exponent, no trailing zeros.

    >>> to_text(0), to_text(-2_500_000_000), to_text(1)
    ('0', '-2.5', '0.000000001')
    """
    sign = "-" if nanos < 0 else ""
    whole, part = divmod(abs(nanos), NANOS)
    return f"{sign}{whole}" + (f".{part:09d}".rstrip("0") if part else "")


def divide_half_up(numerator: int, denominator: int) -> int:
    """The one rounding of a price: half away from zero, once, at the end.

    >>> divide_half_up(5, 2), divide_half_up(-5, 2), divide_half_up(4, 3)
    (3, -3, 1)
    """
    if denominator <= 0:
        raise ValueError("denominator must be positive")
    quotient = (2 * abs(numerator) + denominator) // (2 * denominator)
    return quotient if numerator >= 0 else -quotient
