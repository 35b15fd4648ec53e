"""How their clock differs from ours: by a few seconds (skew), by whole quarters of an hour (a zone), or by an hour since the clocks changed.

It is estimated from calls that can be nobody else's: numbers that were called once in both files.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl

QUARTER_MS = 900_000
HOUR_MS = 3_600_000
LONGEST_MS = 15 * HOUR_MS
"""Zones of the earth are at most 14 hours from UTC."""
FEWEST = 5
"""Calls that an offset must have, besides `LEAST_SHARE` of them: two strangers with one number are no zone."""
LEAST_SHARE = 0.0005
SWITCH_DAYS = 8
"""How near to a change of the clocks of some country a step of an hour must begin."""


class Offset(NamedTuple):
    """`zone_ms`: whole quarters of an hour that their times are ahead of ours; `share`: of the calls compared; the first and last of those."""

    zone_ms: int
    share: float
    first_ms: int
    last_ms: int


class Clock(NamedTuple):
    """Their clock against ours. `base_ms` is the offset of most of their calls, `skew_ms` what is left of it; `changed_at_ms`: since when
    they are an hour off the base, near a change of the clocks; 0 = they are not."""

    base_ms: int
    skew_ms: int
    spread_ms: int
    offsets: tuple[Offset, ...]
    changed_at_ms: int = 0
    compared: int = 0

    def words(self) -> list[str]:
        """What a person should know of it.

        >>> Clock(7_200_000, 1500, 300, (Offset(7_200_000, 1.0, 0, 0),), 0, 900).words()
        ['their times are 2 h ahead of ours: they write local time of UTC+02:00', 'their clock is 1.5 s ahead of ours']
        """
        found = []
        if self.base_ms:
            hours = f"{abs(self.base_ms) / HOUR_MS:g} h {'ahead of' if self.base_ms > 0 else 'behind'}"
            found.append(f"their times are {hours} ours: they write local time of UTC{zone_text(self.base_ms)}")
        if abs(self.skew_ms) >= 500:
            found.append(f"their clock is {abs(self.skew_ms) / 1000:.1f} s {'ahead of' if self.skew_ms > 0 else 'behind'} ours")
        for one in self.offsets:
            if one.zone_ms != self.base_ms:
                ahead = one.zone_ms - self.base_ms
                span = f"{_iso(one.first_ms)} to {_iso(one.last_ms)}"
                what = "the clocks changed" if self.changed_at_ms and abs(ahead) == HOUR_MS else "another zone"
                found.append(f"{one.share:.2%} of their calls, from {span}, are {ahead / HOUR_MS:+g} h off the others: {what}")
        return found


def zone_text(ms: int) -> str:
    """
    >>> zone_text(7_200_000), zone_text(-12_600_000), zone_text(0)
    ('+02:00', '-03:30', '+00:00')
    """
    minutes = abs(ms) // 60_000
    return f"{'-' if ms < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def estimate(ours: pl.DataFrame, theirs: pl.DataFrame) -> Clock:
    """The clock of `theirs` (`key`, `at_ms`) against `ours` (the same). `key`: as `assurance.reconcile.match.keyed` makes it.

    >>> ours = pl.DataFrame({"key": list(range(60)), "at_ms": [n * 60_000 for n in range(60)]})
    >>> estimate(ours, ours.with_columns(pl.col("at_ms") + 3_600_000 + 1500))[:2]
    (3600000, 1500)
    """

    def once(side: pl.DataFrame) -> pl.DataFrame:
        return side.select("key", "at_ms").filter(pl.col("key") >= 0).unique("key", keep="none")

    both = once(ours).join(once(theirs).rename({"at_ms": "theirs_ms"}), on="key")
    both = both.with_columns((pl.col("theirs_ms") - pl.col("at_ms")).alias("ahead_ms")).filter(pl.col("ahead_ms").abs() <= LONGEST_MS)
    both = both.with_columns(((pl.col("ahead_ms") + QUARTER_MS // 2).floordiv(QUARTER_MS) * QUARTER_MS).alias("zone_ms"))
    if both.is_empty():
        return Clock(0, 0, 0, ())
    found = both.group_by("zone_ms").agg(
        pl.len().alias("calls"), pl.col("at_ms").quantile(0.001, "nearest").alias("first_ms"), pl.col("at_ms").quantile(0.999,
            "nearest").alias("last_ms"),
    ).sort(["calls", "zone_ms"], descending=[True, False])  # fmt: skip
    found = found.with_columns(pl.col("first_ms", "last_ms").cast(pl.Int64))
    enough = found.filter((pl.col("calls") >= FEWEST) & (pl.col("calls") >= LEAST_SHARE * both.height) | (pl.int_range(pl.len()) == 0))
    offsets = tuple(Offset(zone, calls / both.height, first, last) for zone, calls, first, last in enough.iter_rows())
    # A file that begins before a change of the clocks and ends behind it: the base is the offset of before, wherever most calls lie.
    base, changed_at_ms = offsets[0].zone_ms, 0
    for one in offsets[1:]:
        step = one.zone_ms - offsets[0].zone_ms
        if abs(step) == HOUR_MS and one.share > 0.01:
            border = one.first_ms if one.first_ms > offsets[0].first_ms else offsets[0].first_ms
            apart = one.first_ms >= offsets[0].last_ms - HOUR_MS or offsets[0].first_ms >= one.last_ms - HOUR_MS
            if apart and near_clock_change(border):
                changed_at_ms = border
                base = min((offsets[0], one), key=lambda which: which.first_ms).zone_ms
                break
    left = both.filter(pl.col("zone_ms").is_in([one.zone_ms for one in offsets])).select((pl.col("ahead_ms") - pl.col("zone_ms")).alias("ms"))
    skew = round(float(left["ms"].median() or 0))  # type: ignore[arg-type]
    spread = round(float((left["ms"] - skew).abs().quantile(0.95) or 0))
    return Clock(base, skew, spread, offsets, changed_at_ms, both.height)


def near_clock_change(at_ms: int) -> bool:
    """Whether a moment is near a change of the clocks of Europe or North America (most of the south changes within these weeks, too).

    >>> near_clock_change(1_761_400_000_000), near_clock_change(1_750_000_000_000)
    (True, False)
    """
    when = datetime.fromtimestamp(at_ms / 1000, UTC)
    changes = [
        _sunday(when.year, 3, -1), _sunday(when.year, 10, -1), _sunday(when.year, 3, 2), _sunday(when.year, 11, 1),
    ]  # fmt: skip
    return any(abs(when - change) <= timedelta(days=SWITCH_DAYS) for change in changes)


def _sunday(year: int, month: int, which: int) -> datetime:
    """The first, second, ... or (-1) last Sunday of a month."""
    if which < 0:
        last = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() + 1) % 7)
    first = datetime(year, month, 1, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (which - 1))
