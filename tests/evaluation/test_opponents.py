"""The opponents do what they are said to do, and see nothing before it is reported."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evaluation.opponents import windowed
from evaluation.opponents.learned import half_space_trees
from evaluation.opponents.opensips import DAY_MS, Stats, at_setup
from evaluation.windows import FEATURES, threshold_of, windows
from simulator.episodes import Traffic, traffic


@pytest.fixture(scope="module")
def town() -> Traffic:
    return traffic(2, 3000)


SECOND, LONG = 1000, 10**12


@pytest.mark.parametrize(
    ("what", "calls", "critical_from"),
    [
        ("five calls in a minute", [(n * SECOND, f"9{n}", n * SECOND) for n in range(6)], 4),
        ("five calls, each over a minute apart, ended", [(n * 61_000, f"9{n}", n * 61_000 + 1) for n in range(8)], None),
        ("five at once, slowly", [(n * 61_000, f"9{n}", LONG) for n in range(6)], 4),
        ("the same number twenty times", [(n * 61_000, "97", n * 61_000 + 1) for n in range(21)], 19),
        ("thirty-five in a day", [(n * 61_000, f"9{n}", n * 61_000 + 1) for n in range(36)], 34),
        ("thirty-five over midnight", [(DAY_MS - 20 * 61_000 + n * 61_000, f"9{n}", 0) for n in range(36)], None),
    ],
)
def test_opensips_counts_and_forgets_as_its_source_does(what: str, calls: list[tuple[int, str, int]], critical_from: int | None) -> None:
    stats = Stats()
    found = [at_setup(stats, number, at_ms, end_ms, 1.0) for at_ms, number, end_ms in calls]
    assert (found.index(True) if True in found else None) == critical_from, what


def test_a_window_knows_only_calls_that_have_ended(town: Traffic) -> None:
    """Calls of the future change no window of the past."""
    rows = windows(town)
    half = (town.start_ms + town.end_ms) // 2 // 900_000 * 900_000
    end = pl.col("setup_ms") + pl.col("pdd_ms") + pl.col("ring_ms") + pl.col("talk_ms").fill_null(0)
    cut = Traffic(town.seed, town.start_ms, half, town.config, town.frame.filter(end < half), town.episodes, town.look_alikes)
    names = [name for name in FEATURES if name != "abroad"]  # the home country is a fact of the contract
    before, same = rows.filter(pl.col("at_ms") <= half).select("account", "window", *names), windows(cut).select("account", "window", *names)
    assert before.height > 100
    assert before.equals(same.filter(pl.col("window") < half // 900_000))


def test_a_threshold_accuses_as_many_honest_accounts_as_allowed() -> None:
    rows = pl.DataFrame({"account": ["a", "b", "c", "d"], "label": ["", "", "", "fraud-1"]})
    scores = np.array([1.0, 3.0, 2.0, 9.0])
    assert [int((scores[:3] > threshold_of(rows, scores, allowed)).sum()) for allowed in (0, 1, 2)] == [0, 1, 2]


@pytest.mark.parametrize("scorer", [windowed.ewma, windowed.cusum, windowed.trigger])
def test_a_jump_of_an_accounts_money_scores_highest(scorer) -> None:  # type: ignore[no-untyped-def]
    n = 12
    rows = pl.DataFrame(
        {"tenant": "t", "account": "a", "window": range(n), "spend": [1.0, 1.2] * 5 + [1.1, 80.0], "spend_before": [1.1] * n}
    )
    scores = scorer(rows)
    assert int(np.argmax(scores)) == n - 1


def test_half_space_trees_score_before_they_learn(town: Traffic) -> None:
    rows = windows(town)
    quiet = pl.int_range(rows.height, eager=True) < 200
    whole, part = half_space_trees(rows, quiet, 1), half_space_trees(rows.head(400), quiet.head(400), 1)
    assert rows.height > 500
    assert np.array_equal(whole[:400], part)
