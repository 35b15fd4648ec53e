"""The points of the charts: rates in steps of some seconds. Money becomes a float only here, for drawing."""

from __future__ import annotations

from typing import Any

from dashboards.traffic import Pair, Sum, Traffic, by_currency, now

STEP_MS = 5_000
MIN_MS = 180_000
"""The charts show at least this much time."""


def records_points(traffic: Traffic, step_ms: int = STEP_MS) -> list[dict[str, Any]]:
    """Records per second, one row per step; a step without records is 0. The last row is repeated, so that its step has a width.

    >>> [(point["at"], point["rate"]) for point in records_points(Traffic(0, 13_000, {0: 10, 4_000: 5, 9_000: 1}), 5_000)]
    [(0, 3.0), (5000, 0.2), (10000, 0.2)]
    """
    sums = dict.fromkeys(steps(traffic, step_ms), 0)
    for at, n in traffic.records.items():
        if (step := at - at % step_ms) in sums:
            sums[step] += n
    return _to_the_end([{"at": at, "rate": n * 1000 / step_ms} for at, n in sums.items()], 1, step_ms)


def money_points(traffic: Traffic, currency: str, step_ms: int = STEP_MS) -> list[dict[str, Any]]:
    """Money per second in one currency: one row per step and side."""
    sums: dict[int, dict[Pair, Sum]] = {at: {} for at in steps(traffic, step_ms)}
    for (at, pair), one in traffic.money.items():
        if (step := at - at % step_ms) in sums and currency in pair:
            sums[step][pair] = sums[step].get(pair, Sum()) + one
    found = []
    for at, pairs in sums.items():
        money = next((money for money in by_currency(pairs) if money.currency == currency), None)
        for side in ("sold", "bought", "margin"):
            value = 0 if money is None else {"sold": money.sell, "bought": money.buy, "margin": money.margin}[side]
            found.append({"at": at, "side": side, "rate": float(value * 1000 / step_ms)})
    return _to_the_end(found, 3, step_ms)


def _to_the_end(points: list[dict[str, Any]], at_once: int, step_ms: int) -> list[dict[str, Any]]:
    """Repeat the last `at_once` points one step later."""
    return points + [{**point, "at": point["at"] + step_ms} for point in points[-at_once:]]


def steps(traffic: Traffic, step_ms: int) -> range:
    """The complete steps: one that is still being stored would look like a drop."""
    end = now(traffic).to_ms
    # Minutes before the first record of a new installation are not drawn.
    first = min(max(traffic.from_ms, min(traffic.records, default=0)), max(traffic.from_ms, end - MIN_MS))
    return range(-(-first // step_ms) * step_ms, end - end % step_ms, step_ms)
