"""Opponents that learn: three that see no labels, and a supervised oracle that has seen every family on other seeds.

The unsupervised ones learn from the quiet time before the first attack (IsolationForest, LOF) or as they go, score before learning (HalfSpaceTrees).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from river.anomaly import HalfSpaceTrees
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler

from evaluation.opponents.windowed import Scores
from evaluation.windows import FEATURES

LEARN_ROWS = 4000


def table(rows: pl.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Features as a matrix, money and counts in logarithms."""
    skewed = ("calls", "spend", "minutes", "callers", "countries", "mean_s", "ring_s", "spend_before", "calls_before", "age_windows", "unusual")
    logs = [pl.col(name).clip(0).log1p() if name in skewed else pl.col(name) for name in FEATURES]
    return rows.select(logs).fill_null(0).fill_nan(0).to_numpy()


def isolation_forest(rows: pl.DataFrame, quiet: pl.Series, seed: int) -> Scores:
    """How soon a window is isolated by random cuts."""
    forest = IsolationForest(n_estimators=100, random_state=seed, n_jobs=1).fit(_sample(rows, quiet, seed))
    found: Scores = -forest.score_samples(table(rows))
    return found


def local_outlier_factor(rows: pl.DataFrame, quiet: pl.Series, seed: int) -> Scores:
    """How thin a window's neighbourhood is, relative to its neighbours'."""
    learn = _sample(rows, quiet, seed)
    scale = StandardScaler().fit(learn)
    found: Scores = -LocalOutlierFactor(n_neighbors=20, novelty=True).fit(scale.transform(learn)).score_samples(scale.transform(table(rows)))
    return found


def half_space_trees(rows: pl.DataFrame, quiet: pl.Series, seed: int) -> Scores:
    """Streaming: each window is scored by what came before it, then learnt."""
    matrix = table(rows)
    low, high = matrix[quiet.to_numpy()].min(0), matrix[quiet.to_numpy()].max(0)
    scaled = np.clip((matrix - low) / np.maximum(high - low, 1e-9), 0, 1)
    trees = HalfSpaceTrees(n_trees=10, height=6, window_size=250, seed=seed)
    scores = np.zeros(rows.height)
    for at, values in enumerate(scaled.tolist()):
        features = dict(enumerate(values))
        scores[at] = trees.score_one(features)  # type: ignore[no-untyped-call]
        trees.learn_one(features)  # type: ignore[no-untyped-call]
    return scores


def oracle(training: list[pl.DataFrame], without: str = "") -> HistGradientBoostingClassifier:
    """A gradient boosting on labelled windows of other seeds; `without`: a family that it has not seen."""
    rows = pl.concat(training)
    if without:
        rows = rows.filter(~pl.col("label").str.starts_with(f"{without}-"))
    fraud = (rows["label"] != "").to_numpy()
    return HistGradientBoostingClassifier(max_iter=80, learning_rate=0.1, random_state=0).fit(table(rows), fraud)


def oracle_scores(model: HistGradientBoostingClassifier, rows: pl.DataFrame) -> Scores:
    """The probability that a window is fraud."""
    found: Scores = model.predict_proba(table(rows))[:, 1]
    return found


def _sample(rows: pl.DataFrame, quiet: pl.Series, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    early = rows.filter(quiet)
    return table(early.sample(min(LEARN_ROWS, early.height), seed=seed))
