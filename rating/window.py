"""When a rate is in force: days, dates and times of day in a named time zone, as a price list says them.

    mon-fri 08:00-18:00        sat,sun        jan-mar d1-15 22:00-06:00        2026-12-24..2027-01-06        holiday:at        workday:at

Terms are separated by spaces, and all of them must hold at the moment that is priced. A time of day begins with its first minute and ends
before its last; one that passes midnight (22:00-06:00) is looked at by the moment alone, so that `mon 22:00-06:00` is Monday's first six
hours and its last two. Local time is that of the zone's own rules: on the night when clocks go back, an hour is in force twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

DAY_S = 86_400
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EPOCH = date(1970, 1, 1)

Ints = npt.NDArray[np.int64]
Holidays = Mapping[str, frozenset[int]]
"""Name of a holiday list -> its days, counted from 1970-01-01."""


@dataclass(frozen=True)
class Window:
    """An empty set is every weekday, month, day. `until_s` below `from_s`: it passes midnight. `holidays`: a list's name, of which the day
    must be (`on_holidays`) or must not be one."""

    weekdays: frozenset[int] = frozenset()  # ISO: 1 is Monday
    months: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    dates: tuple[tuple[int, int], ...] = ()  # days since 1970-01-01, both inclusive
    holidays: str = ""
    on_holidays: bool = True
    from_s: int = 0
    until_s: int = DAY_S

    @property
    def always(self) -> bool:
        """Whether it is in force at every moment."""
        return self == ALWAYS

    @property
    def text(self) -> str:
        """As `parse` reads it.

        >>> parse("fri-mon  22:00-06:00 holiday:at").text
        'mon,fri,sat,sun holiday:at 22:00-06:00'
        """
        lists = (("", WEEKDAYS, self.weekdays), ("", MONTHS, self.months), ("d", [str(n) for n in range(1, 32)], self.month_days))
        parts = [",".join(f"{before}{names[n - 1]}" for n in sorted(found)) for before, names, found in lists if found]
        parts += ["..".join(str(_EPOCH + timedelta(days=day)) for day in span) for span in self.dates]
        if self.holidays:
            parts.append(f"{'holiday' if self.on_holidays else 'workday'}:{self.holidays}")
        if (self.from_s, self.until_s) != (0, DAY_S):
            until = "" if self.until_s == DAY_S else _clock(self.until_s)
            parts.append(f"{_clock(self.from_s)}-{until}")
        return " ".join(parts)

    def holds(self, day: int, second: int, holidays: Holidays) -> bool:
        """Whether it is in force on a local day (counted from 1970-01-01) at a second of it.

        >>> parse("mon-fri 08:00-18:00").holds(day_of("2026-03-02"), 8 * 3600, {}), parse("sat").holds(day_of("2026-03-02"), 0, {})
        (True, False)
        """
        if not (
            self.from_s <= second < self.until_s if self.from_s < self.until_s else second >= self.from_s or second < self.until_s
        ):
            return False
        if self.weekdays and (day + 3) % 7 + 1 not in self.weekdays:
            return False
        if self.months or self.month_days:
            on = _EPOCH + timedelta(days=day)
            if (self.months and on.month not in self.months) or (self.month_days and on.day not in self.month_days):
                return False
        if self.dates and not any(first <= day <= last for first, last in self.dates):
            return False
        return not self.holidays or (day in holidays.get(self.holidays, frozenset())) == self.on_holidays

    def holds_all(self, days: Ints, seconds: Ints, holidays: Holidays) -> npt.NDArray[np.bool_]:
        """As `holds`, of many moments."""
        if self.from_s < self.until_s:
            found = (self.from_s <= seconds) & (seconds < self.until_s)
        else:
            found = (seconds >= self.from_s) | (seconds < self.until_s)
        if self.weekdays:
            found &= _table(self.weekdays, 8)[(days + 3) % 7 + 1]
        if self.months or self.month_days:
            dates = days.astype("datetime64[D]")
            months = dates.astype("datetime64[M]")
            if self.months:
                found &= _table(self.months, 13)[months.astype(np.int64) % 12 + 1]
            if self.month_days:
                found &= _table(self.month_days, 32)[(dates - months.astype("datetime64[D]")).astype(np.int64) + 1]
        if self.dates:
            found &= np.logical_or.reduce([(first <= days) & (days <= last) for first, last in self.dates])
        if self.holidays:
            found &= np.isin(days, list(holidays.get(self.holidays, ()))) == self.on_holidays
        return found


ALWAYS = Window()


def _clock(second: int) -> str:
    hours, rest = divmod(second, 3600)
    return f"{hours:02}:{rest // 60:02}" + (f":{rest % 60:02}" if rest % 60 else "")


def _table(values: frozenset[int], size: int) -> npt.NDArray[np.bool_]:
    table = np.zeros(size, np.bool_)
    table[list(values)] = True
    return table


@lru_cache(maxsize=4096)  # a deck says few windows many times
def parse(text: str) -> Window:
    """The window that a text means; `ValueError` with what to write instead.

    >>> parse("mon-fri 18:00-") == Window(weekdays=frozenset({1, 2, 3, 4, 5}), from_s=18 * 3600)
    True
    >>> parse("weekend")
    Traceback (most recent call last):
    ...
    ValueError: 'weekend' is no part of a window: write days (mon-fri, sat,sun), months (jan-mar), days of the month (d1-15), dates \
(2026-12-24..2027-01-06), a time (08:00-18:00), holiday:LIST or workday:LIST
    """
    found: dict[str, object] = {}
    for term in text.lower().split():
        name, value = _term(term)
        if name in found:
            raise ValueError(f"window {text!r}: {term!r} says a second time what another part says: join them with a comma")
        found |= {name: value} if name not in ("time", "workday") else {}
        if name == "time":
            found |= {"time": None, "from_s": value[0], "until_s": value[1]}  # type: ignore[index]
        elif name == "workday":
            found |= {"holidays": value, "on_holidays": False}
    found.pop("time", None)
    return Window(**found)  # type: ignore[arg-type]


def _term(term: str) -> tuple[str, object]:
    if times := re.fullmatch(r"(\d\d):(\d\d)(?::(\d\d))?-(?:(\d\d):(\d\d)(?::(\d\d))?)?", term, re.ASCII):
        groups = [int(value or 0) for value in times.groups()]
        start, end = (3600 * hour + 60 * minute + second for hour, minute, second in (groups[:3], groups[3:]))
        end = DAY_S if times[4] is None else end
        if max(start, end) > DAY_S or start in (end, DAY_S) or any(int(times[at] or 0) > 59 for at in (2, 3, 5, 6)):
            raise ValueError(f"time {term!r} is none: write 08:00-18:00, 18:00- until midnight, or 22:00-06:00 past it")
        return "time", (start, end)
    if dates := re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:\.\.(\d{4}-\d\d-\d\d))?", term, re.ASCII):
        first, last = day_of(dates[1]), day_of(dates[2] or dates[1])
        if last < first:
            raise ValueError(f"dates {term!r}: the last lies before the first")
        return "dates", ((first, last),)
    if term.startswith(("holiday:", "workday:")) and term[8:]:
        return "holidays" if term[0] == "h" else "workday", term[8:]
    for name, words in (("weekdays", WEEKDAYS), ("months", MONTHS)):
        if (values := _ranges(term, {word: at for at, word in enumerate(words, 1)}, len(words))) is not None:
            return name, values
    if (values := _ranges(term, {f"d{at}": at for at in range(1, 32)}, 31)) is not None:
        return "month_days", values
    raise ValueError(
        f"{term!r} is no part of a window: write days (mon-fri, sat,sun), months (jan-mar), days of the month (d1-15), dates "
        "(2026-12-24..2027-01-06), a time (08:00-18:00), holiday:LIST or workday:LIST"
    )


def _ranges(term: str, places: Mapping[str, int], last: int) -> frozenset[int] | None:
    """The members of `mon-wed,fri`, or of `sat-mon`, which passes the end; None where it is no such list."""
    found: set[int] = set()
    for part in term.split(","):
        first, dash, end = part.partition("-")
        if dash and places.get(first) and end.isdigit() and first[0] == "d":
            end = f"d{end}"
        start, stop = places.get(first), places.get(end if dash else first)
        if start is None or stop is None:
            return None
        found |= {(at - 1) % last + 1 for at in range(start, stop + 1 if stop >= start else stop + last + 1)}
    return frozenset(found)


def day_of(text: str) -> int:
    """Days since 1970-01-01 of an ISO date.

    >>> day_of("1970-01-02")
    1
    """
    try:
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        raise ValueError(f"{text!r} is no date: write 2026-01-31") from None


# --- local time --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Zone:
    """The offsets of a time zone: `offsets_s[i]` until `changes_ms[i]`, and the last one from then on."""

    name: str
    changes_ms: Ints
    offsets_s: Ints

    def local_s(self, at_ms: int) -> int:
        """Seconds of local time since 1970-01-01.

        >>> zone("Europe/Vienna").local_s(0)
        3600
        """
        return at_ms // 1000 + self._offset(at_ms)

    def local_s_all(self, at_ms: Ints) -> Ints:
        """As `local_s`, of many moments."""
        if not len(self.changes_ms):
            return at_ms // 1000 + int(self.offsets_s[0])
        found: Ints = at_ms // 1000 + self.offsets_s[np.searchsorted(self.changes_ms, at_ms, side="right")]
        return found

    def _offset(self, at_ms: int) -> int:
        if not len(self.changes_ms):
            return int(self.offsets_s[0])
        return int(self.offsets_s[int(np.searchsorted(self.changes_ms, at_ms, side="right"))])

    def next_change_ms(self, at_ms: Ints) -> Ints:
        """When the offset changes next, after each moment."""
        changes = np.append(self.changes_ms, np.iinfo(np.int64).max)
        found: Ints = changes[np.searchsorted(self.changes_ms, at_ms, side="right")]
        return found


@lru_cache(maxsize=64)
def zone(name: str) -> Zone:
    """The offsets of a zone of the IANA database, 1970 to 2060; `ValueError` where there is no such zone.

    >>> zone("UTC").changes_ms.tolist(), len(zone("Europe/London").changes_ms) > 100
    ([], True)
    """
    try:
        rules = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time_zone {name!r} is none: write a name of the IANA database, such as Europe/Vienna or UTC") from None

    def offset(at_s: int) -> int:
        moved = datetime.fromtimestamp(at_s, UTC).astimezone(rules).utcoffset()
        assert moved is not None
        return int(moved.total_seconds())

    changes: list[int] = []
    offsets = [offset(0)]
    last_s, week_s = int(datetime(2060, 1, 1, tzinfo=UTC).timestamp()), 7 * DAY_S
    for start in range(0, last_s, week_s):  # no zone has changed its clocks twice in a week
        if offset(start + week_s) == offsets[-1]:
            continue
        low, high = start, start + week_s
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
        changes.append(1000 * high)
        offsets.append(offset(high))
    return Zone(name, np.asarray(changes, np.int64), np.asarray(offsets, np.int64))
