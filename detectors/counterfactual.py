"""What would have had to be different: the smallest change of one thing about a subject's traffic under which its alert had not come.

Each change scales what belongs together (fewer calls are also fewer answered ones, and less money), and leaves the past as it is. The scorecard is
evaluated for all changes and steps at once. The values say how far an alert is from its threshold, and which number carries it; they are no cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from core.facts import Instead
from detectors import profile
from detectors.evidence import Rows
from detectors.profile import AT

_COUNTS = (
    "calls", "answers", "shorts", "rings", "misses", "distinct", "callers", "new_ranges", "new_zones", "sequential", "overlaps", "one_b", "repeats",
    "day_answers", "day_calls", "day_new_ranges", "day_new_zones", "day_distinct", "day_talk_min",
)  # fmt: skip
_MONEY = ("money", "fresh_money", "day_money", "day_fresh_money")

CHANGES: Mapping[str, tuple[str, ...]] = {
    "calls": (*_COUNTS, *_MONEY),
    "money": _MONEY,
    "at_once": ("overlaps", "one_b"),
    "shorts": ("shorts",),
    "rings": ("rings", "misses"),
    "new": ("new_ranges", "new_zones", "fresh_money", "day_new_ranges", "day_new_zones", "day_fresh_money"),
    "distinct": ("distinct", "day_distinct"),
    "sequential": ("sequential",),
    "repeats": ("repeats",),
}
"""Code of `core.explain.INSTEAD` -> the numbers of `profile.NAMES` that it scales, for every kind of subject. The first one is shown."""
OF_DAY = {"calls": "day_calls", "money": "day_money", "new": "day_new_ranges", "distinct": "day_distinct"}
"""The number that is shown instead, of an alert about a day."""

STEPS = 50
MOST = 2
"""So many changes are kept, the smallest first."""


def instead(row: Mapping[str, Any], kind: str, is_over: Callable[[Rows], npt.NDArray[np.bool_]], over_a_day: bool = False) -> list[Instead]:
    """The smallest changes under which `is_over` fails for a row of features, to a fiftieth of what there was."""
    scales = np.linspace(1.0, 0.0, STEPS + 1)
    n = len(scales)
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in profile.KINDS:
        column = np.tile(np.asarray(row[f"p_{name}"], np.float64), (len(CHANGES) * n, 1))
        for at, names in enumerate(CHANGES.values()):
            column[at * n : (at + 1) * n, [AT[one] for one in names]] *= scales[:, None]
        columns[f"p_{name}"] = column

    def of(name: str) -> npt.NDArray[Any]:
        if name not in columns:
            columns[name] = np.repeat(np.asarray([row[name]]), len(CHANGES) * n, axis=0)
        return columns[name]

    over = np.asarray(is_over(Rows(of)), np.bool_).reshape(len(CHANGES), n)
    found = []
    for at, (code, names) in enumerate(CHANGES.items()):
        first = int(np.argmin(over[at]))  # where it fails first, on the way down
        value = float(row[f"p_{kind}"][AT[OF_DAY.get(code, names[0]) if over_a_day else "money" if code == "money" else names[0]]])
        if over[at, 0] and not over[at, first] and value > 0 and not (code == "calls" and first == n - 1):  # without calls there is no alert
            found.append((float(scales[first]), Instead(code, float(f"{value:.4g}"), float(f"{value * scales[first]:.4g}"))))
    return [one for _, one in sorted(found, key=lambda pair: -pair[0])[:MOST]]
