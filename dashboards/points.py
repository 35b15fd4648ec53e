"""What is drawn: rates in steps of some seconds. Only here does money become a float, where a pixel is all that it decides."""

from __future__ import annotations

from typing import Any

from dashboards.traffic import Pair, Sum, Traffic, by_currency, now

STEP_MS = 5_000


def records_points(traffic: Traffic, step_ms: int = STEP_MS) -> list[dict[str, Any]]:
    """Records a second, a row a step; a step without records is a 0, not a gap.

    >>> records_points(Traffic(0, 13_000, {0: 10, 4_000: 5, 9_000: 1}), 5_000)
    [{'at': 0, 'rate': 3.0}, {'at': 5000, 'rate': 0.2}]
    """
    sums = dict.fromkeys(steps(traffic, step_ms), 0)
    for at, n in traffic.records.items():
        if (step := at - at % step_ms) in sums:
            sums[step] += n
    return [{"at": at, "rate": n * 1000 / step_ms} for at, n in sums.items()]


def money_points(traffic: Traffic, currency: str, step_ms: int = STEP_MS) -> list[dict[str, Any]]:
    """Money a second in one currency: a row a step and side."""
    sums: dict[int, dict[Pair, Sum]] = {at: {} for at in steps(traffic, step_ms)}
    for (at, pair), one in traffic.money.items():
        if (step := at - at % step_ms) in sums and currency in pair:
            sums[step][pair] = sums[step].get(pair, Sum()) + one
    found = []
    for at, pairs in sums.items():
        one = next((money for money in by_currency(pairs) if money.currency == currency), None)
        for side in ("sold", "bought", "margin"):
            value = 0 if one is None else {"sold": one.sell, "bought": one.buy, "margin": one.margin}[side]
            found.append({"at": at, "side": side, "rate": float(value * 1000 / step_ms)})
    return found


def steps(traffic: Traffic, step_ms: int) -> range:
    """The whole steps that are stored: one that is still being written would look like a fall."""
    start = -(-traffic.from_ms // step_ms) * step_ms
    end = now(traffic).to_ms
    return range(start, end - end % step_ms, step_ms)
