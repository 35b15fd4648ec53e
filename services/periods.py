"""Periods as people write them."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.errors import BadArgument


def period_ms(text: str, zone: str) -> tuple[int, int]:
    """From (included) until (excluded), UTC epoch ms, of a month, a day, or two days of which the second is included, in a time zone.

    >>> period_ms("2026-10", "Europe/Vienna")
    (1790805600000, 1793487600000)
    >>> period_ms("2026-10-01..2026-10-15", "UTC"), period_ms("2026-10-01", "UTC")
    ((1790812800000, 1792108800000), (1790812800000, 1790899200000))
    """
    forms = "a month (2026-10), a day (2026-10-31), or the first and the last day (2026-10-01..2026-10-15)"
    wrong = BadArgument(f"{text!r} is not a period: write {forms}")
    try:
        if re.fullmatch(r"\d{4}-\d{2}", text):
            first = date.fromisoformat(f"{text}-01")
            after = (first + timedelta(days=32)).replace(day=1)
        else:
            begin, _, end = text.partition("..")
            first, after = date.fromisoformat(begin), date.fromisoformat(end or begin) + timedelta(days=1)
    except ValueError:
        raise wrong from None
    if after <= first:
        raise wrong
    return midnight_ms(first, zone), midnight_ms(after, zone)


def midnight_ms(day: date, zone: str) -> int:
    """When a day begins in a zone, UTC epoch ms.

    >>> midnight_ms(date(2026, 10, 1), "Europe/Vienna")
    1790805600000
    """
    return round(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) * 1000


def days_of(period: tuple[int, int], zone: str) -> tuple[str, str]:
    """The first and the last day of a period, as ISO.

    >>> days_of((1_790_805_600_000, 1_793_487_600_000), "Europe/Vienna")
    ('2026-10-01', '2026-10-31')
    """
    first, last = (datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)) for ms in (period[0], period[1] - 1))
    return f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"
