"""Ranges that are known for fraud, and how much a call into one still counts: an old entry counts less.

A range is *reported* (carriers share lists of test numbers and hot ranges) or *confirmed* (a person of this operator called it fraud). A test
number is a range of its own length. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Literal

import msgspec

DAY_MS = 86_400_000
LEAST_DIGITS = 6
"""A shorter range is most of a country: it would accuse honest calls."""

POINTS = {"reported": 2.5, "confirmed": 4.0}
"""Log-odds of a fresh entry. Alone neither makes an alert: the prior is -10 (`detectors.evidence`)."""
HALF_LIFE_DAYS = {"reported": 90, "confirmed": 30}
"""Number ranges are leased for months; our own attackers come back within weeks, and the range then goes back to honest people."""
LEAST_POINTS = 0.1
"""An entry that counts less is as good as gone."""


class KnownRange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Numbers that begin with `b_range` were used for fraud on `day`, as `source` says. Of equal ranges a version of the config has one.

    >>> KnownRange(tenant="t1", b_range="8821312", day="2026-11-01", source="i3Forum").name
    '8821312'
    """

    tenant: str
    b_range: str  # 6 to 15 digits from the country code on
    day: str  # ISO: when it was last seen in use
    source: str
    kind: Literal["reported", "confirmed"] = "reported"
    why: str = ""

    @property
    def name(self) -> str:
        return self.b_range

    @property
    def at_ms(self) -> int:
        return round(datetime.combine(date.fromisoformat(self.day), datetime.min.time(), UTC).timestamp() * 1000)


def points(one: KnownRange, at_ms: int) -> float:
    """What a call into the range adds to the log-odds of fraud at a time; an entry of a later day counts as one of that time.

    >>> one = KnownRange(tenant="t1", b_range="8821312", day="2026-01-01", source="i3Forum")
    >>> [points(one, one.at_ms + days * DAY_MS) for days in (-1, 0, 90, 180, 720)]
    [2.5, 2.5, 1.25, 0.625, 0.0]
    """
    age_days = max(at_ms - one.at_ms, 0) / DAY_MS
    left = POINTS[one.kind] * 0.5 ** (age_days / HALF_LIFE_DAYS[one.kind])
    return left if left >= LEAST_POINTS else 0.0


def wins(new: KnownRange, old: KnownRange | None) -> bool:
    """Whether an entry replaces the one of the same range: it is more certain on the later of their two days, or equally certain and newer.

    >>> seen = KnownRange(tenant="t1", b_range="8821312", day="2026-01-01", source="us", kind="confirmed")
    >>> def reported(day): return KnownRange(tenant="t1", b_range="8821312", day=day, source="them")
    >>> wins(reported("2026-01-05"), seen), wins(reported("2026-03-05"), seen), wins(reported("2026-01-05"), reported("2026-01-05"))
    (False, True, False)
    """
    if old is None:
        return True
    at_ms = max(new.at_ms, old.at_ms)
    return (points(new, at_ms), new.day) > (points(old, at_ms), old.day)


class Known:
    """Look-up of the longest known range of a number.

    >>> known = Known([KnownRange(tenant="t1", b_range="8821312", day="2026-01-01", source="i3Forum")])
    >>> known.find("88213123456").source, known.find("4366012345"), len(known)
    ('i3Forum', None, 1)
    """

    def __init__(self, ranges: Iterable[KnownRange] = ()) -> None:
        self._ranges = {one.b_range: one for one in ranges}
        self._lengths = sorted({len(digits) for digits in self._ranges}, reverse=True)

    def __len__(self) -> int:
        return len(self._ranges)

    def find(self, digits: str) -> KnownRange | None:
        for length in self._lengths:
            if (found := self._ranges.get(digits[:length])) is not None and length <= len(digits):
                return found
        return None


NOTHING = Known()


def prefixes_between(first: str, last: str) -> Iterator[str]:
    """The fewest ranges that are together all numbers from `first` to `last`, which have equally many digits. `ValueError` where they do not.

    >>> list(prefixes_between("3719000", "3719119")), list(prefixes_between("371", "371"))
    (['37190', '371910', '371911'], ['371'])
    """
    if len(first) != len(last) or first > last:
        raise ValueError(f"{first} to {last} is no range: both ends have equally many digits, and the first is not above the last")
    low, high, width = int(first), int(last), len(first)
    while low <= high:
        size = 1
        while low % (size * 10) == 0 and low + size * 10 - 1 <= high and size * 10 < 10**width:
            size *= 10
        yield str(low // size).zfill(width - len(str(size)) + 1)
        low += size
