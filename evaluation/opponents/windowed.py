"""Opponents that look at an account's sums: each is a score per window; the threshold comes from other seeds.

- spend caps: the money of the last hour, the same cap for all accounts of a tenant;
- a trigger over 5, 15 and 60 minutes, as TransNexus describes its own: the money of each interval against the account's own average of such intervals
  and a floor, whichever interval is most unusual;
- EWMA and CUSUM control charts of the money per window (D. Montgomery, "Introduction to Statistical Quality Control": lambda 0.2; k 0.5).
"""

from __future__ import annotations

import numpy as np
import polars as pl

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


def spend_cap(rows: pl.DataFrame) -> Scores:
    """The money of the last hour, in units of what the tenant's median busy account spends in one."""
    money = _rolling(rows, 4)
    usual = pl.DataFrame({"tenant": rows["tenant"], "m": money}).with_columns(u=pl.col("m").quantile(0.9).over("tenant"))["u"].to_numpy()
    found: Scores = money / np.maximum(usual, 0.01)
    return found


def trigger(rows: pl.DataFrame) -> Scores:
    """5, 15 and 60 minutes against the account's own average of such intervals, in windows of five minutes (`every_ms=300_000`)."""
    floor, average = 5.0, rows["spend_before"].to_numpy()
    intervals = [_rolling(rows, windows) / (windows * average + floor) for windows in (1, 3, 12)]
    return np.asarray(np.max(intervals, axis=0))


def ewma(rows: pl.DataFrame, weight: float = 0.2) -> Scores:
    """How many standard deviations the smoothed money of an account is above its past. Score before learning."""
    return _chart(rows, weight)


def cusum(rows: pl.DataFrame, slack: float = 0.5) -> Scores:
    """The one-sided cumulative sum of standardised money."""
    scores = np.zeros(rows.height)
    state: dict[str, tuple[float, float, float, int]] = {}
    for at, (account, money) in enumerate(rows.select("account", "spend").iter_rows()):
        total, mean, square, seen = state.get(account, (0.0, 0.0, 0.0, 0))
        deviation = max(np.sqrt(max(square / max(seen, 1) - mean * mean, 0.0)), 1.0)
        total = max(0.0, total + (money - mean) / deviation - slack) if seen >= 4 else 0.0
        scores[at] = total
        state[account] = (total, (mean * seen + money) / (seen + 1), square + money * money, seen + 1)
    return scores


def _chart(rows: pl.DataFrame, weight: float) -> Scores:
    scores = np.zeros(rows.height)
    state: dict[str, tuple[float, float, float, int]] = {}
    spread = np.sqrt(weight / (2 - weight))
    for at, (account, money) in enumerate(rows.select("account", "spend").iter_rows()):
        smooth, mean, square, seen = state.get(account, (0.0, 0.0, 0.0, 0))
        deviation = max(np.sqrt(max(square / max(seen, 1) - mean * mean, 0.0)), 1.0)
        smooth = weight * money + (1 - weight) * (smooth if seen else mean)
        scores[at] = (smooth - mean) / (deviation * spread) if seen >= 4 else smooth / 20
        state[account] = (smooth, (mean * seen + money) / (seen + 1), square + money * money, seen + 1)
    return scores


def _rolling(rows: pl.DataFrame, windows: int) -> Scores:
    """The money of an account's last windows of the clock, this one included."""
    found = rows.select("account", "window", "spend").with_row_index("row").rolling("window", period=f"{windows}i", group_by="account").agg(
        pl.col("spend").sum().alias("sum"), pl.col("row").last()
    )  # fmt: skip
    money = np.zeros(rows.height)
    money[found["row"].to_numpy()] = found["sum"].to_numpy()
    return money
