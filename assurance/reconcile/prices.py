"""Why a price per minute is another than ours: which of our own prices it would be, had something else been true of the call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise

import numpy as np
import polars as pl

from assurance.reconcile.causes import joined
from assurance.reconcile.plan import HOUR_MS, Plan

WEEK = 7 * 24


def causes_of(calls: pl.DataFrame, plan: Plan, names: Mapping[str, str], fits: bool = True) -> pl.Series:
    """Of each call with another price per minute, its cause or causes, in the order of `calls`.

    `calls`: `a_number`, `b_number`, `at_ms`, `ahead_ms` (what their time of the call is ahead of ours, whole quarters of an hour), `stray`
    (this call alone), `changed` (by a change of the clocks), `prefix`, `destination`, `per_min_nanos` (ours), `theirs_nanos` (theirs),
    `slack_nanos` (how far that may be off, as they write fewer decimals), `theirs_destination` (by their name). `names`: their name -> ours.
    `fits=False`: their price is only what follows from amount and seconds, so that a wrong amount is as likely as a wrong price where no
    price of ours fits.
    """
    if calls.is_empty():
        return pl.Series("cause", [], dtype=pl.String)
    calls = calls.with_row_index("place")
    groups = calls.group_by("prefix", "destination", "per_min_nanos", "theirs_nanos", "theirs_destination", maintain_order=True).agg(
        pl.col("place"), pl.col("b_number").first(), pl.col("slack_nanos").max(), pl.len().alias("calls"),
    )  # fmt: skip
    uniform = _uniform(groups)
    first_ms, last_ms = int(calls["at_ms"].min()), int(calls["at_ms"].max())  # type: ignore[arg-type]
    by_destination = plan.rates_of_destinations((first_ms + last_ms) // 2)
    spans = _spans(plan, first_ms, last_ms)

    @cache
    def rates_of(prefix: str) -> list[set[int]]:
        return [plan.rates_of(examples[prefix], moments) for moments in spans]

    found = np.full(calls.height, "", object)
    examples: dict[str, str] = {}
    for row in groups.iter_rows(named=True):
        rate, slack, own = int(row["theirs_nanos"]), max(int(row["slack_nanos"]), 1), int(row["per_min_nanos"])

        def like(rates: set[int], rate: int = rate, slack: int = slack) -> bool:
            return any(abs(one - rate) <= slack for one in rates)

        named = names.get(row["theirs_destination"], "")
        is_other = bool(named) and named != row["destination"]
        examples.setdefault(row["prefix"], row["b_number"])
        known = rates_of(row["prefix"])
        peak = any(own in rates and like(rates - {own}) for rates in known)
        dated = any(own not in rates and like(rates) for rates in known)
        if is_other:
            told = ["wrong_destination"] if like(by_destination.get(named, set())) else ["wrong_destination", "rate"]
        elif peak or dated:
            told = ["peak"] * peak + ["tariff_boundary"] * dated
        else:
            told = ["rate"] if fits or row["calls"] >= 3 else ["rate", "line_arithmetic"]
            others = {one for name, rates in by_destination.items() if name != row["destination"] for one in rates}
            if not row["theirs_destination"] and like(others):
                told.append("wrong_destination")
            if uniform and abs(rate / max(own, 1) / uniform - 1) < 1e-6:
                told.append("fx")
        found[np.asarray(row["place"])] = joined(told)
    shifted = _shifted(calls, plan)
    label = np.where(calls["changed"].to_numpy(), "clock_change", "time_zone").astype(object)
    stray = calls["stray"].to_numpy()
    found[shifted & stray] = label[shifted & stray]
    # Where the whole file is in another zone, a single price of another hour may as well be their windows.
    both = shifted & ~stray
    found[both] = [joined([*one.split("|"), other]) if one in ("peak", "tariff_boundary") else other for one,
        other in zip(found[both], label[both], strict=True)]
    return pl.Series("cause", found.tolist(), dtype=pl.String)


def _spans(plan: Plan, first_ms: int, last_ms: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Moments between one change of the price list and the next, near some calls: every hour of a week where prices have windows."""
    borders = [first_ms - WEEK * HOUR_MS, *plan.borders_ms((first_ms, last_ms)), last_ms + WEEK * HOUR_MS]
    hours = HOUR_MS * np.arange(WEEK if plan.has_windows() else 1, dtype=np.int64)
    return [moments[moments < until] for start, until in pairwise(sorted(set(borders))) for moments in [start + hours]]


def _shifted(calls: pl.DataFrame, plan: Plan) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Calls whose price by our list at the time that they wrote is theirs."""
    moved = calls["ahead_ms"].to_numpy() != 0
    found = np.zeros(calls.height, np.bool_)
    if moved.any():
        here = calls.filter(pl.Series(moved))
        at_ms = (here["at_ms"] + here["ahead_ms"]).to_numpy()
        priced = plan.prices(here["a_number"].to_list(), here["b_number"].to_list(), at_ms, np.full(here.height, 60_000, np.int64))
        found[moved] = (priced.row >= 0) & (np.abs(priced.per_min_nanos - here["theirs_nanos"].to_numpy()) <= here["slack_nanos"].to_numpy())
    return found


def _uniform(groups: pl.DataFrame) -> float:
    """The one ratio of their prices to ours, where three destinations or more have it and few have another; 0 = there is none."""
    ratios = groups.filter(pl.col("per_min_nanos") > 0).select(
        (pl.col("theirs_nanos") / pl.col("per_min_nanos")).round(7).alias("ratio"), "calls", "destination"
    )
    if ratios.is_empty():
        return 0.0
    best = ratios.group_by("ratio").agg(pl.col("destination").n_unique(), pl.col("calls").sum()).sort("calls", descending=True).row(0)
    return float(best[0]) if best[1] >= 3 and best[2] >= 0.5 * int(ratios["calls"].sum()) else 0.0
