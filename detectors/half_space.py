"""Half-space trees: how much of what came before is near a point of [0, 1]^n (S. C. Tan, K. M. Ting, T. F. Liu, "Fast anomaly detection for
streaming data", IJCAI 2011).

Each tree halves the space at random along one dimension per node, whatever the data are; a point's mass is how many points of the reference window
fell into its nodes. The trees are the same in every process; the state is counts alone, so that a snapshot has it, which river's pickled trees would
not be.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import msgspec
import numpy as np

TREES, HEIGHT, WINDOW = 25, 8, 250
SMALL = WINDOW // 10
"""A node with fewer points is not looked into."""
_NODES = 2 ** (HEIGHT + 1) - 1
_SEED = 2011


class Masses(msgspec.Struct):
    """The points in each node of each tree: of the reference window, and of the one that becomes it next. `learned`: points of both, and before."""

    reference: list[int] = []
    latest: list[int] = []
    learned: int = 0


@cache
def _trees(n: int) -> list[tuple[list[int], list[float]]]:
    """The dimension and the cut of each inner node, tree by tree. Each tree looks at a work range of its own, as the paper has it."""
    rng = np.random.default_rng(_SEED)
    found = []
    for _ in range(TREES):
        centre = rng.random(n)
        half = 2 * np.maximum(centre, 1 - centre)
        ranges = [(centre - half, centre + half)]
        dimensions, cuts = [], []
        for at in range(2**HEIGHT - 1):
            low, high = ranges[at]
            dimension = int(rng.integers(n))
            cut = float((low[dimension] + high[dimension]) / 2)
            left, right = high.copy(), low.copy()
            left[dimension] = right[dimension] = cut
            ranges += [(low, left), (right, high)]
            dimensions.append(dimension)
            cuts.append(cut)
        found.append((dimensions, cuts))
    return found


def _path(tree: tuple[list[int], list[float]], point: Sequence[float]) -> list[int]:
    dimensions, cuts = tree
    path, at = [0], 0
    for _ in range(HEIGHT):
        at = 2 * at + 1 + (point[dimensions[at]] >= cuts[at])
        path.append(at)
    return path


def mass(state: Masses, point: Sequence[float]) -> int:
    """How much of the reference window is near a point: the less, the stranger it is. 0 before there is a reference window.

    >>> state = Masses()
    >>> for at in range(2 * WINDOW): learn(state, [0.5 + at % 7 / 100, 0.5])
    >>> mass(state, [0.52, 0.5]) > 10 * mass(state, [0.05, 0.95])
    True
    """
    if not state.reference:
        return 0
    total = 0
    for number, tree in enumerate(_trees(len(point))):
        for depth, at in enumerate(_path(tree, point)):
            found = state.reference[number * _NODES + at]
            if found < SMALL or depth == HEIGHT:
                total += found << depth
                break
    return total


def learn(state: Masses, point: Sequence[float]) -> None:
    """Counts a point; every `WINDOW` points the counts become the reference."""
    if not state.latest:
        state.latest = [0] * (TREES * _NODES)
    for number, tree in enumerate(_trees(len(point))):
        for at in _path(tree, point):
            state.latest[number * _NODES + at] += 1
    state.learned += 1
    if state.learned % WINDOW == 0:
        state.reference, state.latest = state.latest, []
