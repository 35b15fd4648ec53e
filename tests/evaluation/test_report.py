"""The page: goals are met or not by their own figures, and nothing is said that was not measured."""

from __future__ import annotations

import pytest

from evaluation.report import goals, page, real_users
from evaluation.results import Episode, Result
from evaluation.sichuan import Real, recall_at


def result(**changed: object) -> Result:
    one = Episode("irsf_burst-0-0", "irsf_burst", 0, False, 30.0, 20.0, 2, 100 * 10**9, 98 * 10**9, 99 * 10**9)
    slow = Episode("sim_box-0-0", "sim_box", 0, True, 60.0, None, 0, 10 * 10**9, 8 * 10**9, 9 * 10**9)
    values: dict[str, object] = {
        "name": "Ringfence", "simulator": "simulator", "seed": 1, "calls": 100_000, "days": 2.0, "date": "2026-11-28", "honest_calls": 5_000_000,
        "honest_refused": 0, "episodes": [one, slow], "false_alerts": 0, "false_subjects": {}, "detectors": {"sim_box": (20, 0)}, "calls_back": [3],
        "sims": (20, 20, 0), "look_alikes": 20,
    }  # fmt: skip
    return Result(**(values | changed))  # type: ignore[arg-type]


def test_all_goals_met() -> None:
    text = goals([result()])
    assert text.count("| yes |") == 8
    assert "**no**" not in text


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({"honest_refused": 12}, "honest calls refused per million"),
        ({"false_subjects": {f"t/{n}": 1 for n in range(80)}}, "honest subjects accused"),
        ({"calls_back": [3, 6]}, "wangiri"),
        ({"sims": (20, 17, 0)}, "SIM cards"),
        ({"sims": (20, 20, 2)}, "SIM cards"),
        ({"honest_calls": 100_000}, "honest calls refused per million"),
    ],
)
def test_a_missed_goal_says_so(changed: dict[str, object], missed: str) -> None:
    lines = [line for line in goals([result(**changed)]).splitlines() if "**no**" in line]
    assert any(missed in line for line in lines)


def test_an_episode_that_was_not_found_is_no_success() -> None:
    lost = Episode("irsf_burst-1-0", "irsf_burst", 1, False, None, None, 0, 10**9, 0, 0)
    text = goals([result(episodes=[*result().episodes, lost])])
    assert "1 of 2 were not" in text


def test_the_page_has_every_opponent_with_its_seeds_and_date() -> None:
    text = page([result(), result(seed=2), result(name="spend cap"), result(name="spend cap", seed=2)], None, "28 November 2026")
    assert "Seeds 1 to 2, 2 days each, 10,000,000 honest calls in all; run on 2026-11-28" in text
    assert "| spend cap | 4 of 4 |" in text
    assert "Not measured" in text


def test_real_users_within_one_standard_error() -> None:
    text = real_users(Real(6106, 10, (0.9555, 0.0012), (0.70, 0.01), (0.02, 0.001), 0.883))
    assert "| AUC with labels | 0.9565 | 0.9555 ± 0.0012 | yes |" in text
    assert "| recall at 99 % precision | 0.755 | 0.700 ± 0.010 | **no** |" in text


def test_recall_where_no_threshold_is_precise_enough() -> None:
    import numpy as np

    assert recall_at(np.array([0.0, 1.0]), np.array([0.9, 0.1])) == 0.0
