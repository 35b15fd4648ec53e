"""What would have had to be different: the change that is named is enough, and a smaller one is not."""

from __future__ import annotations

import numpy as np
import pytest

from core.facts import Instead
from detectors import profile
from detectors.counterfactual import CHANGES, STEPS, instead
from detectors.evidence import Rows
from detectors.profile import AT


def row(**numbers: float) -> dict[str, object]:
    """The features of a subject: these numbers for every kind, all others 0."""
    values = [0.0] * len(AT)
    for name, value in numbers.items():
        values[AT[name]] = value
    return {f"p_{kind}": list(values) for kind in profile.KINDS} | {"weight": 4.0, "unit": 1.0}


@pytest.mark.parametrize(
    ("numbers", "rule", "expected"),
    [
        ({"calls": 20, "overlaps": 10}, lambda r: r.of("account", "calls") >= 10, [Instead("calls", 20, 9.6)]),
        # Less than a fifth fewer calls are enough, and so are half as many at once: the smaller change comes first.
        ({"calls": 20, "overlaps": 10}, lambda r: (r.of("account", "calls") >= 17) & (r.of("account", "overlaps") > 5),
         [Instead("calls", 20, 16.8), Instead("at_once", 10, 5.0)]),
        ({"calls": 20, "money": 8}, lambda r: r.of("account", "money") > 0.1 * r.of("account", "calls") - 1e-9, [Instead("money", 8, 1.92)]),
        ({"calls": 20}, lambda r: r["weight"] > 1, []),  # no change of the traffic would have helped
    ],
)  # fmt: skip
def test_the_smallest_change_is_named(numbers, rule, expected):
    found = instead(row(**numbers), "account", rule)
    assert found[0:1] == expected[0:1] and found == expected


def test_every_change_is_of_numbers_that_exist_and_has_words():
    from core.explain import INSTEAD

    assert set(INSTEAD) == set(CHANGES) and {name for names in CHANGES.values() for name in names} <= set(AT)


def test_the_past_is_not_changed():
    seen: list[Rows] = []

    def rule(rows: Rows) -> np.ndarray:
        seen.append(rows)
        return np.ones(len(CHANGES) * (STEPS + 1), bool)

    instead(row(normal_calls=3, hours=9, calls=5), "account", rule)
    assert set(seen[0].of("account", "normal_calls").tolist()) == {3.0} and min(seen[0].of("account", "calls")) == 0.0
