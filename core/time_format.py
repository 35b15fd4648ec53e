"""Validation of date and time formats for strptime, which itself accepts formats that lose half of a time."""

from __future__ import annotations

import re

DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
KNOWN = frozenset("aAbBcdfGHIjmMpSuUVwWxXyYzZ%")
YEARS = frozenset("YyGcx")
HOURS = frozenset("HIcX")


def check_time_format(how: str) -> str:
    """The unchanged format. Raises `ValueError` where a part of a time would be lost or ambiguous.

    >>> check_time_format("%d.%m.%Y %H:%M:%S")
    '%d.%m.%Y %H:%M:%S'
    >>> check_time_format("%m/%d/%Y %H:%M:%S %p")
    Traceback (most recent call last):
    ...
    ValueError: '%m/%d/%Y %H:%M:%S %p' has %p (AM, PM), which counts with hours from 1 to 12 only: write %I, not %H
    """
    codes = [code for code in DIRECTIVE.findall(how) if code != "%"]
    if unknown := [code for code in codes if code not in KNOWN]:
        raise ValueError(f"{how!r}: %{unknown[0]} is none of strptime's directives, such as %Y %m %d %H %M %S")
    if double := sorted({code for code in codes if codes.count(code) > 1}):
        raise ValueError(f"{how!r} has %{double[0]} twice: which of them is meant?")
    have = frozenset(codes)
    if "p" in have and "I" not in have:
        raise ValueError(f"{how!r} has %p (AM, PM), which counts with hours from 1 to 12 only: write %I, not %H")
    if "I" in have and "p" not in have:
        raise ValueError(f"{how!r} has %I, hours from 1 to 12, and no %p (AM, PM): write %H for hours from 0 to 23")
    for several, what in ((YEARS, "year"), (HOURS, "hour"), (frozenset("mbBjcx"), "month"), (frozenset("fs"), "fraction")):
        if len(found := sorted(have & several)) > 1:
            raise ValueError(f"{how!r} says the {what} twice, by %{' and %'.join(found)}: which of them is meant?")
    if not _has_date(have):
        raise ValueError(f"{how!r} has not the whole date: a year (%Y), a month (%m) and a day (%d) are needed")
    return how


def _has_date(have: frozenset[str]) -> bool:
    if have & {"c", "x"}:
        return True
    weekday = bool(have & set("aAuw"))
    if "G" in have:
        return "V" in have and weekday
    in_year = "j" in have or bool(have & set("mbB") and "d" in have) or bool(have & set("UW") and weekday)
    return bool(have & set("Yy")) and in_year
