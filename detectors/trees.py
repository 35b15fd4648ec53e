"""Boosted trees as plain arrays: what a scikit-learn model comes to, in a form that a file can hold without code in it.

A score is a bias and one contribution per feature, which add up: on its way to a leaf, each split adds what the expectation changes there (A. Saabas,
"Interpreting random forests", 2014).

>>> one = Forest(bias=-1.0, roots=[0], feature=[1, -1, -1], threshold=[0.5, 0.0, 0.0], left=[1, 0, 0], right=[2, 0, 0], value=[0.25, 0.0, 2.0])
>>> scores(one, np.asarray([[9.0, 0.4], [9.0, 0.6]])).tolist(), contributions(one, np.asarray([9.0, 0.6]))
([-1.0, 1.0], {1: 1.75})
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Forest(msgspec.Struct, frozen=True):
    """All nodes of all trees, one after the other. `feature` -1 = a leaf; a row goes left where its number is at most the threshold. `value`: of a
    leaf what it adds, of another node the mean of its leaves."""

    bias: float  # the score before any tree
    roots: list[int]
    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    value: list[float]

    def faults(self, features: int) -> list[str]:
        """What makes these no trees over so many features; [] = nothing. A file may come from anybody."""
        n = len(self.feature)
        if not (n == len(self.threshold) == len(self.left) == len(self.right) == len(self.value)):
            return ["the arrays of the trees have different lengths"]
        if any(not 0 <= root < n for root in self.roots):
            return ["a tree begins outside of the nodes"]
        for at in range(n):
            if not -1 <= self.feature[at] < features:
                return [f"node {at} splits by feature {self.feature[at]}; there are {features}"]
            # Children come later, so that no way goes round.
            if self.feature[at] >= 0 and not (at < self.left[at] < n and at < self.right[at] < n):
                return [f"node {at} has no children behind it"]
        if not np.isfinite([self.bias, *self.threshold, *self.value]).all():
            return ["a threshold or a value is not a finite number"]
        return []


class _ById:
    """Hashed by identity: a forest is large."""

    def __init__(self, forest: Forest) -> None:
        self.forest = forest

    def __hash__(self) -> int:
        return id(self.forest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.forest is self.forest


@lru_cache(16)
def _arrays(of: _ById) -> tuple[Any, ...]:
    ints = (np.asarray(getattr(of.forest, name), np.int64) for name in ("roots", "feature", "left", "right"))
    return (*ints, np.asarray(of.forest.threshold, np.float64), np.asarray(of.forest.value, np.float64))


def scores(forest: Forest, rows: Floats) -> Floats:
    """The scores of rows of features."""
    out = np.full(len(rows), forest.bias)
    _add_scores(np.ascontiguousarray(rows, np.float64), *_arrays(_ById(forest)), out)
    return out


def add_scores(rows: Any, roots: Any, feature: Any, left: Any, right: Any, threshold: Any, value: Any, out: Any) -> None:
    """Adds what each tree says of each row."""
    for i in range(len(rows)):
        total = 0.0
        for root in roots:
            at = root
            while feature[at] >= 0:
                at = left[at] if rows[i, feature[at]] <= threshold[at] else right[at]
            total += value[at]
        out[i] += total


_add_scores: Any = numba.njit(cache=True)(add_scores)


def contributions(forest: Forest, row: Floats) -> dict[int, float]:
    """Feature -> what it adds to the score of a row; with `expected`, they add up to the score."""
    found: dict[int, float] = {}
    for root in forest.roots:
        at = root
        while forest.feature[at] >= 0:
            by = forest.feature[at]
            to = forest.left[at] if row[by] <= forest.threshold[at] else forest.right[at]
            found[by] = found.get(by, 0.0) + forest.value[to] - forest.value[at]
            at = to
    return found


def expected(forest: Forest) -> float:
    """The score before any feature is known."""
    return forest.bias + sum(forest.value[root] for root in forest.roots)


def of_boosting(model: Any) -> Forest:
    """The trees of a fitted `HistGradientBoostingClassifier` with two classes and numeric features without gaps."""
    made: dict[str, list[Any]] = {name: [] for name in ("roots", "feature", "threshold", "left", "right", "value")}
    for (tree,) in model._predictors:
        nodes, base = tree.nodes, len(made["feature"])
        values = _expected(nodes)
        made["roots"].append(base)
        for at, node in enumerate(nodes):
            leaf = bool(node["is_leaf"])
            made["feature"].append(-1 if leaf else int(node["feature_idx"]))
            made["threshold"].append(0.0 if leaf else float(node["num_threshold"]))
            made["left"].append(0 if leaf else base + int(node["left"]))
            made["right"].append(0 if leaf else base + int(node["right"]))
            made["value"].append(values[at])
    return Forest(bias=float(np.ravel(model._baseline_prediction)[0]), **made)


def _expected(nodes: Any) -> list[float]:
    found = [float(value) for value in nodes["value"]]
    counts = nodes["count"]
    for at in reversed(range(len(nodes))):  # children come later
        if not nodes[at]["is_leaf"]:
            left, right = int(nodes[at]["left"]), int(nodes[at]["right"])
            found[at] = float((found[left] * int(counts[left]) + found[right] * int(counts[right])) / (int(counts[left]) + int(counts[right])))
    return found
