"""Accounts in windows of time as columns: what an opponent that looks at sums every few minutes knows at the end of a window.

A call counts in the window in which it ended: a record says nothing before. Only the window and earlier ones are used; an account's home country (the
one it calls most) is known from the start, as an operator has it in the contract.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from core.numbering import country_code
from evaluation.verdict import Alert, Block, Verdict, refused_by
from simulator.episodes import Traffic

BLOCK_MS = 3_600_000
FEATURES = (
    "calls", "answered", "spend", "minutes", "numbers", "callers", "countries", "abroad", "premium", "short", "mean_s", "ring_s", "night",
    "top_share", "spend_before", "calls_before", "age_windows", "unusual",
)  # fmt: skip


def ended(traffic: Traffic) -> pl.DataFrame:
    """The calls by the time at which their record came, with the country code called."""
    frame = traffic.frame
    end = pl.col("setup_ms") + pl.col("pdd_ms") + pl.col("ring_ms") + pl.col("talk_ms").fill_null(0)
    heads = frame.select(pl.col("b_number").str.slice(0, 4)).to_series().unique()
    codes = {head: country_code(head) for head in heads.to_list()}
    return frame.with_columns(end_ms=end, code=pl.col("b_number").str.slice(0, 4).replace_strict(codes)).sort("end_ms")


def windows(traffic: Traffic, every_ms: int = 900_000) -> pl.DataFrame:
    """A row per account and window with calls: `FEATURES`, `at_ms` (its end), call ids, the country most money went to, and the truth (`label`)."""
    rows = ended(traffic).with_columns(window=pl.col("end_ms") // every_ms, s=pl.col("talk_ms").fill_null(0) / 1000, eur=pl.col("sell_nanos") / 1e9)
    home = rows.group_by("account").agg(home=pl.col("code").mode().first())
    rows = rows.join(home, on="account", how="left")
    hour = (pl.col("setup_ms") // 3_600_000) % 24
    found = rows.group_by("tenant", "account", "window").agg(
        calls=pl.len().cast(pl.Float64), answered=pl.col("talk_ms").count() / pl.len(), spend=pl.col("eur").sum(), minutes=pl.col("s").sum() / 60,
        numbers=pl.col("b_number").n_unique() / pl.len(), callers=pl.col("a_number").n_unique().cast(pl.Float64),
        countries=pl.col("code").n_unique().cast(pl.Float64), abroad=(pl.col("code") != pl.col("home")).mean(),
        premium=(pl.col("eur") / (pl.col("s") / 60 + 0.05) > 0.8).mean(), short=((pl.col("s") > 0) & (pl.col("s") < 10)).mean(),
        mean_s=pl.col("s").mean(), ring_s=pl.col("ring_ms").mean() / 1000, night=((hour < 6) | (hour > 20)).mean(),
        top_share=pl.col("b_number").str.slice(0, 7).value_counts(sort=True).first().struct.field("count") / pl.len(),
        code=pl.col("code").sort_by("eur").last(), ids=pl.col("call_id"),
        label=pl.col("episode").filter(pl.col("episode") != "").mode().first().fill_null(""),
        fraud=(pl.col("episode") != "").mean(),
    ).sort("window", "account")  # fmt: skip
    before = pl.col("spend").cum_sum().shift(1).over("account").fill_null(0)
    number = pl.int_range(pl.len()).over("account")
    found = found.with_columns(
        age_windows=number.cast(pl.Float64), spend_before=before / (number + 1),
        calls_before=pl.col("calls").cum_sum().shift(1).over("account").fill_null(0) / (number + 1), at_ms=(pl.col("window") + 1) * every_ms,
    )  # fmt: skip
    label = pl.when(pl.col("fraud") >= 0.5).then("label").otherwise(pl.lit(""))
    return found.with_columns(unusual=pl.col("spend") / (pl.col("spend_before") + 0.5), label=label)


def verdict_of(name: str, traffic: Traffic, rows: pl.DataFrame, scores: np.ndarray[tuple[int], np.dtype[np.float64]], threshold: float) -> Verdict:
    """Alerts where a window's score passes the threshold, and a block of the account to the country most money went to, for an hour."""
    hit = rows.filter(pl.Series(scores > threshold))
    alerts, blocks = [], []
    for row in hit.select("tenant", "account", "at_ms", "code", "ids").iter_rows(named=True):
        alerts.append(Alert(row["at_ms"], row["tenant"], f"account {row['account']}", row["account"], detector=name, calls=tuple(row["ids"])))
        blocks.append(Block(row["tenant"], row["account"], row["at_ms"] + 1000, row["at_ms"] + BLOCK_MS, row["code"]))
    return Verdict(name, alerts, refused_by(traffic.frame, blocks))


def threshold_of(rows: pl.DataFrame, scores: np.ndarray[tuple[int], np.dtype[np.float64]], subjects: int) -> float:
    """The lowest threshold at which at most so many honest accounts are accused: from traffic that is not scored."""
    worst = rows.with_columns(score=pl.Series(scores)).filter(pl.col("label") == "").group_by("account").agg(pl.col("score").max())
    ordered = worst["score"].sort(descending=True)
    return float(ordered[min(subjects, len(ordered) - 1)]) if len(ordered) else 0.0
