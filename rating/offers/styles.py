"""How a column writes its amounts, dates and increments: what its own values say, and what could be meant in two ways."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from core.decimals import SPACES

CURRENCY_SIGNS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY"}
AMOUNT = re.compile(r"(?P<before>[€$£¥]|[A-Z]{3})?\s*(?P<number>[+-]?[\d.,'’\s]*\d[\d.,'’]*)\s*(?P<after>[€$£¥]|[A-Z]{3}|ct|c)?\s*-?")


class Style(NamedTuple):
    """How amounts are written, and how that was seen. `doubt`: what could be meant as well, for a person to decide."""

    decimal: str
    thousands: str
    reason: str
    doubt: str = ""


def bare_amount(text: str) -> tuple[str, str]:
    """The number in a cell, and the currency that stands beside it ("" = none).

    >>> bare_amount("€ 0,035"), bare_amount("0.02 USD"), bare_amount("1.5")
    (('0,035', 'EUR'), ('0.02', 'USD'), ('1.5', ''))
    """
    if text and text[0].isdigit() and text[-1].isdigit():
        return text, ""
    found = AMOUNT.fullmatch(text)
    if found is None or found["after"] in ("ct", "c"):
        return text, ""
    unit = found["before"] or found["after"] or ""
    return found["number"], CURRENCY_SIGNS.get(unit, unit)


def amount_style(texts: Iterable[str]) -> Style:
    """How amounts are written, by all the different ones of a column.

    >>> amount_style(["0,035", "1.234,50"])
    Style(decimal=',', thousands='.', reason="'1.234,50' has both, the comma last", doubt='')
    >>> amount_style(["0.035", "1.2"]).decimal, amount_style(["1,500", "2,250"]).doubt[:42]
    ('.', "'1,500' can be 1.5 or 1500: say decimal in")
    """
    only_comma = only_point = ""
    comma_sure = point_sure = grouped = ""
    for text in texts:
        number = bare_amount(text)[0].lstrip("+-")
        for space in SPACES[1:]:
            number = number.replace(space, " ")
        between = next((sign for sign in (" ", "'", "’") if re.search(rf"\d{sign}\d{{3}}\b", number)), "")
        if between:
            grouped = grouped or (" " if between == " " else "'")
            number = number.replace(between, "")
        comma, point = number.rfind(","), number.rfind(".")
        if comma >= 0 and point >= 0:
            if comma > point:
                return Style(",", ".", f"{text!r} has both, the comma last")
            return Style(".", ",", f"{text!r} has both, the point last")
        for sign, at in ((",", comma), (".", point)):
            if at < 0:
                continue
            if number.count(sign) > 1:  # 1,234,567
                return Style("." if sign == "," else ",", sign, f"{text!r} has it between thousands")
            sure = bool(re.match(r"0*[.,]", number)) or len(number) - at - 1 != 3 or at > 3
            if sign == ",":
                only_comma, comma_sure = only_comma or text, comma_sure or (text if sure else "")
            else:
                only_point, point_sure = only_point or text, point_sure or (text if sure else "")
    if comma_sure and point_sure:
        doubt = f"some prices have a point ({point_sure!r}) and some a comma ({comma_sure!r}) before their decimals"
        return Style(".", grouped, f"{point_sure!r}", doubt)
    if comma_sure:
        return Style(",", grouped or ("." if only_point else ""), f"{comma_sure!r} has a comma before its decimals")
    if point_sure:
        return Style(".", grouped or ("," if only_comma else ""), f"{point_sure!r} has a point before its decimals")
    unsure = only_comma or only_point
    if only_comma:
        plain = unsure.replace(",", "")
        return Style(".", grouped, "", f"{unsure!r} can be {unsure.replace(',', '.').rstrip('0')} or {plain}: say decimal in the mapping")
    if only_point:
        return Style(".", grouped, f"{unsure!r} has a point, and nothing has a comma")
    return Style(".", grouped, "no price has decimals")


# --- dates ---

DATE_FORMATS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d-%b-%Y", "%d %b %Y", "%d %B %Y",
    "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y",
)  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S")
ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?", re.ASCII)
NO_DATE = re.compile(r"\\N|\(?null\)?|<null>|none|n/a|-|asap|immediately|tbd|0{1,4}[./-]0{1,4}[./-]0{1,4}(?:[T ][0:.]+)?|0{1,8}", re.IGNORECASE)


class DateStyle(NamedTuple):
    """How dates are written, and how that was seen; `doubt` as in `Style`."""

    date_format: str
    reason: str
    doubt: str = ""


def date_style(texts: Iterable[str]) -> DateStyle:
    """How dates are written, by all the different ones of a column. A date that no format can read does not vote.

    >>> date_style(["31/12/2026", "01/12/2026", "31/02/2026"]).date_format
    '%d/%m/%Y'
    >>> date_style(["01/12/2026"]).doubt
    "'01/12/2026' can be 1 December 2026 or 12 January 2026: say date_format in the mapping"
    """
    values = [text for text in dict.fromkeys(texts) if text and not ISO.fullmatch(text) and not NO_DATE.fullmatch(text)]
    if not values:
        return DateStyle("iso", "dates are written as 2026-01-31, or are dates of the workbook")
    votes = {}
    for form in (day + time for day in DATE_FORMATS for time in TIMES):
        count = sum(_parsed(text, form) is not None for text in values)
        if count:
            votes[form] = count
    if not votes:
        return DateStyle("iso", "no date can be read")
    most = max(votes.values())
    best = [form for form, count in votes.items() if count == most]
    form = best[0]
    for other in best[1:]:
        for text in values:
            one, two = _parsed(text, form), _parsed(text, other)
            if one and two and one != two:
                words = " or ".join(f"{when.day} {when:%B %Y}" for when in (one, two))
                return DateStyle(form, "", f"{text!r} can be {words}: say date_format in the mapping")
    example = next(text for text in values if _parsed(text, form) is not None)
    return DateStyle(form, f"{most:,} of {len(values):,} different dates are written so, such as {example!r}")


def _parsed(text: str, form: str) -> datetime | None:
    try:
        when = datetime.strptime(text, form)
    except ValueError:
        return None
    return when if 1990 <= when.year <= 2100 else None


@lru_cache(maxsize=65_536)
def date_ms(text: str, form: str, zone: str) -> int | None:
    """The time of a date, in UTC epoch ms; a date is its midnight in `zone`. None = no date is meant. `ValueError` with what is wrong.

    >>> date_ms("01.12.2026", "%d.%m.%Y", "Europe/Vienna"), date_ms("2026-12-01", "%d/%m/%Y", "UTC")
    (1796079600000, 1796083200000)
    >>> date_ms("31/02/2026", "%d/%m/%Y", "UTC")
    Traceback (most recent call last):
    ...
    ValueError: '31/02/2026' is no date of the calendar, written as %d/%m/%Y
    """
    if not text or NO_DATE.fullmatch(text):
        return None
    try:
        when = datetime.fromisoformat(text) if ISO.fullmatch(text) else datetime.strptime(text, "%Y-%m-%d" if form == "iso" else form)
    except ValueError:
        what = "" if form == "iso" else f", written as {form}"
        raise ValueError(f"{text[:40]!r} is no date of the calendar{what}") from None
    if not 1990 <= when.year <= 2100:
        raise ValueError(f"{text[:40]!r} lies in the year {when.year}")
    when = when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone))
    return (when - EPOCH) // timedelta(milliseconds=1)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# --- increments ---

INCREMENTS = re.compile(r"(\d{1,4})\s*(?:[/:+\-|;]|\s)\s*(\d{1,4})", re.ASCII)


def increments(text: str) -> tuple[int, int]:
    """The first and the following increments of a cell, in seconds. `ValueError` with what is wrong.

    >>> increments("60/1"), increments("1 + 1"), increments("30"), increments("2026-01-01")
    ((60, 1), (1, 1), (30, 30), (1, 1))
    """
    bare = re.sub(r"\s*(?:s|sec|secs|seconds?)\b\.?", "", text.strip(), flags=re.IGNORECASE)
    if ISO.fullmatch(bare):  # 1/1, made a date of by a table program
        day = datetime.fromisoformat(bare)
        if day.day != day.month:
            raise ValueError(f"{text!r} is a date: the table program has made it of {day.day}/{day.month} or {day.month}/{day.day}")
        return day.day, day.month
    found = INCREMENTS.fullmatch(bare)
    if found:
        first, following = int(found[1]), int(found[2])
    elif re.fullmatch(r"\d{1,4}", bare, re.ASCII):
        first = following = int(bare)
    else:
        raise ValueError(f"{text[:40]!r} is not two increments such as 60/1")
    for one in (first, following):
        if not 1 <= one <= 3600:
            raise ValueError(f"{text[:40]!r} has an increment of {one} s, and 1 to 3600 are possible")
    return first, following
