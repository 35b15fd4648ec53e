"""Bounds of what was measured."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta


def upper_bound(hits: int, of: int, confidence: float = 0.95) -> float:
    """The Clopper-Pearson upper bound of a share: with nothing found, three in `of` are still possible.

    >>> round(upper_bound(0, 3_000_000) * 1e6, 2), upper_bound(5, 5)
    (1.0, 1.0)
    """
    if hits >= of:
        return 1.0
    return float(beta.ppf(confidence, hits + 1, of - hits))


def lower_bound(hits: int, of: int, confidence: float = 0.95) -> float:
    """The Clopper-Pearson lower bound of a share.

    >>> lower_bound(0, 10), round(lower_bound(20, 20), 2)
    (0.0, 0.86)
    """
    return 0.0 if hits == 0 else float(beta.ppf(1 - confidence, hits, of - hits + 1))


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean and standard error over seeds."""
    array = np.asarray(values, float)
    return float(array.mean()), float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else 0.0


def percentile(values: list[float], share: float) -> float:
    """A percentile; nan of nothing."""
    return float(np.percentile(values, 100 * share)) if values else float("nan")
