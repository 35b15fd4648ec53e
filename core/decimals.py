"""Numbers as people and their programs write them: a point or a comma before the decimals, and something between thousands."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

PLAIN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
SPACES = " \u00a0\u2009\u202f"


@lru_cache(maxsize=8)
def _grouped(thousands: str, decimal: str) -> re.Pattern[str]:
    """Groups of thousands. Nobody writes 0.025 for 25: the first group begins with 1 to 9, and what begins with 0 is ambiguous."""
    between = {" ": f"[{SPACES}]", "'": "['\u2019]"}.get(thousands, re.escape(thousands))
    return re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:{between}\d{{3}})+(?:{re.escape(decimal)}\d*)?", re.ASCII)


def plain(text: str) -> str:
    """A text that is a number with a point before its decimals, as it stands. `Decimal` alone takes 1_000 and Arabic digits, too.

    >>> plain("1.5")
    '1.5'
    """
    if not PLAIN.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a number")
    return text


def number(text: str, decimal: str = ".", thousands: str = "", says: str = "the mapping says") -> Decimal:
    """The number in a text. What could be read in two ways is refused. `says`: who could say how numbers are written.

    >>> number("1.021,04", ",", "."), number("1 021,04", ",", " "), number("12.5")
    (Decimal('1021.04'), Decimal('1021.04'), Decimal('12.5'))
    >>> number("0.025", ",", ".")
    Traceback (most recent call last):
    ...
    ValueError: '0.025' has a point, where the mapping says that decimals follow a comma
    >>> number("1,500")
    Traceback (most recent call last):
    ...
    ValueError: '1,500' is not a number; where a comma stands between thousands, the mapping says thousands: ","
    """
    written = text
    if thousands and _grouped(thousands, decimal).fullmatch(text):
        written = re.sub(f"[{SPACES}]" if thousands == " " else "['\u2019]" if thousands == "'" else re.escape(thousands), "", text)
    if decimal == ",":
        if "." in written:
            grouped = not thousands and _grouped(".", ",").fullmatch(text)
            hint = f'; where a point stands between thousands, {says} thousands: "."' if grouped else ""
            raise ValueError(f"{text[:40]!r} has a point, where {says} that decimals follow a comma{hint}")
        written = written.replace(",", ".", 1)
    try:
        value = Decimal(plain(written))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a number{_hint(text, decimal, thousands, says)}") from None
    if not value.is_finite() or abs(value) > 10**15:
        raise ValueError(f"{text[:40]!r} is out of range")
    return value


HINTS = (
    (",", ".", "a comma stands between thousands", 'thousands: ","'),
    (".", ",", "a point stands between thousands and a comma before the decimals", 'decimal: "," and thousands: "."'),
    (" ", ".", "a space stands between thousands", 'thousands: " "'),
    (" ", ",", "a space stands between thousands and a comma before the decimals", 'decimal: "," and thousands: " "'),
    ("'", ".", "an apostrophe stands between thousands", "thousands: \"'\""),
)


def _hint(text: str, decimal: str, thousands: str, says: str) -> str:
    """What the mapping would have to say. Never a reading that would make 1,500 into 1.5."""
    if not thousands:
        for between, before, what, option in HINTS:
            if (before == decimal or "," in option) and _grouped(between, before).fullmatch(text):
                return f"; where {what}, {says} {option}"
    if decimal == "." and re.fullmatch(r"[+-]?\d*,\d+", text, re.ASCII) and thousands != ",":
        return f'; where decimals follow a comma, {says} decimal: ","'
    return ""
