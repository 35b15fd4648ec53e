"""Training a scorer: histogram gradient boosting on labelled rows, calibrated on rows of other seeds, shifted to how rare fraud is in life."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors import trees
from detectors.model import FEATURES, FORMAT, Floats, Model, metrics_of

TREES, LEAVES, RATE = 80, 12, 0.08
RARER = 0.02
"""Attacks in life are taken to be fifty times rarer than in the training traffic, which has one of each family in a few days."""

Labels = npt.NDArray[np.bool_]


def train(rows: Floats, labels: Labels, held_out: Floats, held_labels: Labels, name: str, trained_on: str, at_ms: int) -> Model:
    """A model of `rows`; its calibration and metrics are those of `held_out`. Raises `ValueError` where there is no fraud or no honest row."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    for what, found in (("to learn from", labels), ("to calibrate with", held_labels)):
        if not 0 < int(found.sum()) < len(found):
            raise ValueError(f"the rows {what} need both fraud and honest calls: {int(found.sum()):,} of {len(found):,} are fraud")
    weights = np.where(labels, len(labels) / (2 * labels.sum()), len(labels) / (2 * (~labels).sum()))
    boosting: Any = HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, min_samples_leaf=40, l2_regularization=1.0, random_state=0, early_stopping=False
    )
    with threadpool_limits(1):  # threads that wait for one another on a busy machine take ten times as long
        forest = trees.of_boosting(boosting.fit(rows, labels, sample_weight=weights))
        scored = trees.scores(forest, held_out)
        curve = LogisticRegression().fit(scored[:, None], held_labels)
    slope, intercept = float(curve.coef_[0, 0]), float(curve.intercept_[0])
    digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes() + labels.tobytes()).hexdigest()
    return Model(
        format=FORMAT, name=name, trained_on=trained_on, data_sha256=digest, at_ms=at_ms, features=list(FEATURES), forest=forest, slope=slope,
        shift=intercept + float(np.log(RARER)), metrics=metrics_of(held_labels, scored * slope + intercept),
    )  # fmt: skip
