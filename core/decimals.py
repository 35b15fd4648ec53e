"""Numbers as people and programs write them: a point or comma before the decimals, with or without a thousands separator."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

PLAIN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
SPACES = " \u00a0\u2009\u202f"


@lru_cache(maxsize=8)
def _grouped(thousands: str, decimal: str) -> re.Pattern[str]:
    """Groups of thousands. The first group begins with 1 to 9: nobody writes 0.025 for 25, so a leading 0 is ambiguous."""
    between = {" ": f"[{SPACES}]", "'": "['\u2019]"}.get(thousands, re.escape(thousands))
    return re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:{between}\d{{3}})+(?:{re.escape(decimal)}\d*)?", re.ASCII)


def plain(text: str) -> str:
    """The unchanged text, if it is a number with a point before its decimals. `Decimal` itself also accepts 1_000 and Arabic digits.

    >>> plain("1.5")
    '1.5'
    """
    if not PLAIN.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a number")
    return text


def number(text: str, decimal: str = ".", thousands: str = "", source: str = "the mapping says") -> Decimal:
    """The number in a text; an ambiguous one is refused. `source`: subject and verb of the hint on how to declare the format.

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
            hint = f'; where a point stands between thousands, {source} thousands: "."' if grouped else ""
            raise ValueError(f"{text[:40]!r} has a point, where {source} that decimals follow a comma{hint}")
        written = written.replace(",", ".", 1)
    try:
        value = Decimal(plain(written))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a number{_hint(text, decimal, thousands, source)}") from None
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


def _hint(text: str, decimal: str, thousands: str, source: str) -> str:
    """The declaration that would make the text readable. Never one that would read 1,500 as 1.5."""
    if not thousands:
        for between, before, what, option in HINTS:
            if (before == decimal or "," in option) and _grouped(between, before).fullmatch(text):
                return f"; where {what}, {source} {option}"
    if decimal == "." and re.fullmatch(r"[+-]?\d*,\d+", text, re.ASCII) and thousands != ",":
        return f'; where decimals follow a comma, {source} decimal: ","'
    return ""
