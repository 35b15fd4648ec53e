"""Billing cycles: the periods of an agreement, one after another without a gap, from local midnight to local midnight in its time zone."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from core.config import Agreement


class Period(NamedTuple):
    """Days `first` to before `until`, and their times. UTC ms."""

    first: date
    until: date
    from_ms: int
    until_ms: int

    @property
    def last(self) -> date:
        return self.until - timedelta(days=1)


def period_of(agreement: Agreement, at_ms: int) -> Period:
    """The period that a moment is in.

    >>> monthly = Agreement(tenant="t1", name="retail", role="sell", time_zone="Europe/Vienna")
    >>> found = period_of(monthly, 1_764_543_600_000)  # 2025-12-01 00:00 in Vienna
    >>> found.first.isoformat(), found.until.isoformat(), found.from_ms
    ('2025-12-01', '2026-01-01', 1764543600000)
    """
    zone = ZoneInfo(agreement.time_zone)
    day = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()
    first, until = bounds(agreement.cycle, agreement.invoicing.first_day, agreement.invoicing.cycle_days, day)
    return Period(first, until, midnight_ms(first, zone), midnight_ms(until, zone))


def bounds(cycle: str, first_day: str, cycle_days: int, day: date) -> tuple[date, date]:
    """First day of the period that a day is in, and of the next one.

    A month that is anchored on the 31st begins on the last day of shorter months:

    >>> [str(one) for one in bounds("monthly", "2026-01-31", 0, date(2026, 2, 28))]
    ['2026-02-28', '2026-03-31']
    >>> [str(one) for one in bounds("weekly", "", 0, date(2026, 11, 27))]
    ['2026-11-23', '2026-11-30']
    """
    anchor = date.fromisoformat(first_day) if first_day else date(2024, 1, 1)  # a Monday, and the first of a month
    if cycle == "daily":
        return day, day + timedelta(days=1)
    if cycle in ("weekly", "custom"):
        length = 7 if cycle == "weekly" else cycle_days
        first = day - timedelta(days=(day - anchor).days % length)
        return first, first + timedelta(days=length)
    if cycle == "half_monthly":
        return (day.replace(day=1), day.replace(day=16)) if day.day < 16 else (day.replace(day=16), _month(day.year, day.month + 1, 1))
    this = _month(day.year, day.month, anchor.day)
    if day < this:
        return _month(day.year, day.month - 1, anchor.day), this
    return this, _month(day.year, day.month + 1, anchor.day)


def _month(year: int, month: int, day: int) -> date:
    """A day of a month, counted on from January of the year; the last one where the month is shorter."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def midnight_ms(day: date, zone: ZoneInfo) -> int:
    """The first moment of a local day: where clocks are put forward at midnight, the moment after the gap."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return round(local.astimezone(UTC).timestamp() * 1000)
