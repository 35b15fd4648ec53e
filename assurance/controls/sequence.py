"""Which numbers of a switch's sequence never came: from bands of numbers that were counted, and the single numbers of those with some missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

LEAP, LEAP_PER_MS = 1_000_000, 10
"""A number that leaps further than a switch can count since the one before is a fault of its record, and no gap."""


class Gap(NamedTuple):
    """Numbers `first` to `last` of a boot, of which `missing` never came. `after_ms`: when we learned of the number behind them."""

    switch: str
    boot_id: str
    first: int
    last: int
    missing: int
    after_ms: int


def between(bands: Iterable[Mapping[str, Any]], earlier: Mapping[tuple[str, str], tuple[int, int]], whole_since_ms: int) -> list[Gap]:
    """The gaps between bands, and before the first one of a boot. `bands`: `switch`, `boot_id`, `band`, `first`, `last`, `from_ms`, `to_ms`, in their
    order; `earlier`: boot -> its last number of before, and when it came. A boot that began after `whole_since_ms` began at 1 (0 is as good).

    >>> rows = [{"switch": "k1", "boot_id": "b", "first": 3, "last": 9, "from_ms": 5, "to_ms": 6},
    ...         {"switch": "k1", "boot_id": "b", "first": 12, "last": 20, "from_ms": 7, "to_ms": 8}]
    >>> [tuple(gap)[2:5] for gap in between(rows, {}, 0)], [tuple(gap)[2:5] for gap in between(rows, {("k1", "b"): (1, 4)}, 0)]
    ([(1, 2, 2), (10, 11, 2)], [(2, 2, 1), (10, 11, 2)])
    """
    found: list[Gap] = []
    last: dict[tuple[str, str], tuple[int, int]] = dict(earlier)
    for row in bands:
        boot = row["switch"], row["boot_id"]
        if boot not in last:
            begins = min(row["first"], 1) if row["from_ms"] >= whole_since_ms else row["first"]
            last[boot] = begins - 1, row["from_ms"]
        before, before_ms = last[boot]
        missing = row["first"] - before - 1
        if 0 < missing <= LEAP + LEAP_PER_MS * max(0, row["from_ms"] - before_ms):
            found.append(Gap(*boot, before + 1, row["first"] - 1, missing, row["from_ms"]))
        last[boot] = max(before, row["last"]), row["to_ms"]
    return found


def inside(switch: str, boot_id: str, numbers: Iterable[tuple[int, int]]) -> list[Gap]:
    """The gaps inside a band, from the numbers that came, each with when we learned of it.

    >>> [tuple(gap) for gap in inside("k1", "b", [(3, 100), (6, 130)])]
    [('k1', 'b', 4, 5, 2, 130)]
    """
    found, before = [], None
    for number, learned_ms in numbers:
        if before is not None and number > before + 1:
            found.append(Gap(switch, boot_id, before + 1, number - 1, number - before - 1, learned_ms))
        before = number
    return found
