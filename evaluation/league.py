"""The league: every opponent and ours on the same seeds, each with a threshold from other seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

from evaluation.opponents import learned, windowed
from evaluation.opponents.opensips import opensips
from evaluation.opponents.windowed import Scores
from evaluation.ours import ours
from evaluation.score import Score, score
from evaluation.windows import threshold_of, verdict_of, windows
from simulator.episodes import QUIET_SHARE, Traffic, traffic

TRAINING_SEEDS = (1001, 1002)
"""Of the thresholds, the scale of OpenSIPS' counters, and the oracle's labels. No seed that is scored is among them."""
SCALES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

Scorer = Callable[[pl.DataFrame, pl.Series, int], Scores]

OPPONENTS: dict[str, tuple[int, Scorer]] = {
    "spend cap": (900_000, lambda rows, quiet, seed: windowed.spend_cap(rows)),
    "trigger 5/15/60 min (TransNexus)": (300_000, lambda rows, quiet, seed: windowed.trigger(rows)),
    "EWMA chart": (900_000, lambda rows, quiet, seed: windowed.ewma(rows)),
    "CUSUM chart": (900_000, lambda rows, quiet, seed: windowed.cusum(rows)),
    "HalfSpaceTrees": (900_000, learned.half_space_trees),
    "LOF": (900_000, learned.local_outlier_factor),
    "IsolationForest": (900_000, learned.isolation_forest),
}
"""Name -> the windows it looks at, and its score."""


@dataclass(frozen=True)
class Trained:
    """What was learnt from the training seeds."""

    thresholds: dict[str, float]
    opensips_scale: float
    oracle: HistGradientBoostingClassifier
    oracle_threshold: float
    training: list[pl.DataFrame]


def train(n: int, days: float, make: Callable[..., Traffic] = traffic) -> Trained:
    """Thresholds at which at most one honest account in 100,000 calls of the training traffic is accused."""
    known = [make(seed, n, days) for seed in TRAINING_SEEDS]
    allowed = max(round(n / 100_000), 1)
    thresholds = {}
    for name, (every_ms, scorer) in OPPONENTS.items():
        rows = windows(known[0], every_ms)
        thresholds[name] = threshold_of(rows, scorer(rows, quiet(known[0], rows), known[0].seed), allowed)
    labelled = [windows(one) for one in known]
    first = learned.oracle(labelled[1:])
    threshold = threshold_of(labelled[0], learned.oracle_scores(first, labelled[0]), allowed)
    scale = next((one for one in SCALES if len(score(known[0], opensips(known[0], one)).false_subjects) <= allowed), SCALES[-1])
    return Trained(thresholds, scale, learned.oracle(labelled), threshold, labelled)


def quiet(one: Traffic, rows: pl.DataFrame) -> pl.Series:
    """The windows before any attack can begin."""
    return rows["at_ms"] < one.start_ms + QUIET_SHARE * (one.end_ms - one.start_ms)


def ours_alone(one: Traffic, feeds: Sequence[str]) -> Iterator[Score]:
    """Our scores on one traffic, with each feed."""
    for feed in feeds:
        yield score(one, ours(one, feed, "Ringfence" if feed != "stops" else "Ringfence, with records at the end of calls alone"))


def play(one: Traffic, trained: Trained, feeds: Sequence[str] = ("answers",)) -> Iterator[Score]:
    """The scores of all on one traffic."""
    yield from ours_alone(one, feeds)
    yield score(one, opensips(one, 1.0, "OpenSIPS counters, as in the tutorial"))
    yield score(one, opensips(one, trained.opensips_scale, f"OpenSIPS counters, x{trained.opensips_scale:g}"))
    by_width: dict[int, pl.DataFrame] = {}
    for name, (every_ms, scorer) in OPPONENTS.items():
        rows = by_width.setdefault(every_ms, windows(one, every_ms))
        yield score(one, verdict_of(name, one, rows, scorer(rows, quiet(one, rows), one.seed), trained.thresholds[name]))
    rows = by_width[900_000]
    chances = learned.oracle_scores(trained.oracle, rows)
    yield score(one, verdict_of("supervised oracle", one, rows, chances, trained.oracle_threshold))
    yield score(one, verdict_of("supervised oracle, family left out", one, rows, left_out(one, trained, rows), trained.oracle_threshold))


def left_out(one: Traffic, trained: Trained, rows: pl.DataFrame) -> Scores:
    """The oracle's scores, those of each family's windows by a model that has never seen that family."""
    scores = learned.oracle_scores(trained.oracle, rows)
    for family in sorted({episode.family for episode in one.episodes}):
        mine = rows["label"].str.starts_with(f"{family}-").to_numpy()
        if mine.any():
            scores = np.where(mine, 0.0, scores)
            scores[mine] = learned.oracle_scores(learned.oracle(trained.training, family), rows.filter(pl.Series(mine)))
    return scores
