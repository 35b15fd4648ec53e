"""Real users: the reading of the columns, and the arithmetic on users that are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.sichuan import _one_seed, calibration_error, directions, features, load, recall_at

DATA = Path(__file__).parents[3] / "shared" / "data" / "sichuan"
NEEDS_DATA = pytest.mark.skipif(not (DATA / "Sichuan.zip").is_file(), reason="the data of the real users is not here")


def test_recall_at_a_precision() -> None:
    labels, chances = np.array([1.0, 1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    assert recall_at(labels, chances, 0.99) == pytest.approx(2 / 3)
    assert recall_at(labels, chances, 0.7) == 1.0


def test_a_model_that_is_too_sure_is_badly_calibrated() -> None:
    labels = np.array([1.0, 0.0] * 50)
    assert calibration_error(labels, np.full(100, 0.5)) < 0.01
    assert calibration_error(labels, np.full(100, 0.99)) > 0.4


def test_what_can_be_learnt_is_learnt_and_noise_is_not() -> None:
    """The score of a fold never comes from its own users: labels without a pattern stay at chance."""
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(240, 3))
    clear, noise = (matrix[:, 0] > 0).astype(float), rng.integers(0, 2, 240).astype(float)
    assert _one_seed(matrix, clear, 0, 3)[0] > 0.95
    assert 0.3 < _one_seed(matrix, noise, 0, 3)[0] < 0.7


@NEEDS_DATA
def test_directions_of_use_tell_fraud_users_apart_without_labels() -> None:
    users = load(DATA)
    assert users.height == 6106
    assert "label" not in features(users).columns
    assert roc_auc_score(users["label"].to_numpy(), directions(users)) > 0.88
