"""Durations as people type them."""

from __future__ import annotations

import re
from decimal import Decimal

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)


def to_ms(text: str) -> Decimal:
    """Exact milliseconds of a text such as 90s, 1h30m or 0.5s. Raises `ValueError` for any other form, also for a number without a unit.

    >>> to_ms("90s"), to_ms("1h30m"), to_ms("7d"), to_ms("0.5s")
    (Decimal('90000'), Decimal('5400000'), Decimal('604800000'), Decimal('500.0'))
    >>> to_ms("1 hour")
    Traceback (most recent call last):
    ...
    ValueError: '1 hour' is not a length of time: write 30s, 15m, 4h, 7d or 1h30m
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a length of time: write 30s, 15m, 4h, 7d or 1h30m")
    return sum((Decimal(number) * UNITS_MS[unit] for number, unit in parts), Decimal(0))


def text(ms: Decimal) -> str:
    """A length of time as people write it, to the last digit: what `to_ms` reads.

    >>> [text(Decimal(n)) for n in (0, 900_000, 5_400_000, 604_800_000, 500, 90_061_001)]
    ['0s', '15m', '1h30m', '7d', '500ms', '1d1h1m1s1ms']
    """
    written = ""
    for unit in ("d", "h", "m", "s"):
        whole = int(ms // UNITS_MS[unit])
        if whole:
            written += f"{whole}{unit}"
            ms -= whole * UNITS_MS[unit]
    return written + (f"{ms.normalize():f}ms" if ms else "") or "0s"
