"""The arithmetic of the evaluation: what a perfect, a silent and a reckless detector are worth."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evaluation.score import exposed_at_ms, score
from evaluation.verdict import Alert, Block, Verdict, refused_by
from simulator.columns import calls
from simulator.episodes import Traffic, traffic


@pytest.fixture(scope="module")
def town() -> Traffic:
    return traffic(2, 3000)


def alert(one: object, at_ms: int, calls: tuple[str, ...] = ()) -> Alert:
    return Alert(at_ms, one.tenant, f"account {one.account}", one.account, calls=calls)  # type: ignore[attr-defined]


def test_a_perfect_detector_scores_one(town: Traffic) -> None:
    fraud = (town.frame["episode"] != "").to_numpy()
    first = {one.id: town.frame.filter(pl.col("episode") == one.id)["call_id"][0] for one in town.episodes}
    found = score(town, Verdict("perfect", [alert(one, one.start_ms, (first[one.id],)) for one in town.episodes], fraud))
    assert [one.episode.id for one in found.found if not one.is_found] == []
    assert {one.delay_s for one in found.found} == {0.0}
    assert all(one.kept_nanos == one.loss_nanos for one in found.found)
    assert (found.false_alerts, found.honest_refused, found.calls_back) == (0, 0, [0])


def test_a_silent_detector_scores_nothing(town: Traffic) -> None:
    found = score(town, Verdict("silent", [], np.zeros(town.frame.height, np.bool_)))
    assert not any(one.is_found for one in found.found)
    assert sum(one.kept_nanos + one.after_alert_nanos for one in found.found) == 0
    assert sum(one.loss_nanos for one in found.found) == town.frame["loss_nanos"].sum() > 0
    assert found.honest_calls == town.frame.filter(pl.col("episode") == "").height
    assert found.calls_back[0] > 0


def test_a_detector_that_blocks_everything_refuses_every_honest_call(town: Traffic) -> None:
    found = score(town, Verdict("reckless", [], np.ones(town.frame.height, np.bool_)))
    assert found.honest_refused == found.honest_calls
    assert all(one.kept_nanos == one.loss_nanos for one in found.found)


@pytest.mark.parametrize(
    ("at", "calls_shown", "right"),
    [
        ("inside", "own", True),  # shows calls of the attack
        ("inside", "honest", True),  # names the attacked account while it is attacked
        ("before", "honest", False),
        ("long after", "honest", False),
        ("long after", "own", True),  # late, but right about what it shows
    ],
)
def test_an_alert_is_right_by_what_it_shows_or_names(town: Traffic, at: str, calls_shown: str, right: bool) -> None:
    one = next(one for one in town.episodes if one.family == "irsf_block")
    at_ms = {"inside": one.start_ms + 1, "before": one.start_ms - 60_000, "long after": one.end_ms + 3_600_000}[at]
    rows = town.frame.filter(pl.col("episode") == (one.id if calls_shown == "own" else ""))
    found = score(town, Verdict("x", [alert(one, at_ms, tuple(rows["call_id"][:3]))], np.zeros(town.frame.height, np.bool_)))
    assert (sum(each.is_found for each in found.found), found.false_alerts) == ((1, 0) if right else (0, 1))


def test_an_honest_subject_counts_once_however_often_it_is_accused(town: Traffic) -> None:
    honest = Alert(town.start_ms + 5, "retail", "account nobody", "nobody")
    found = score(town, Verdict("x", [honest, honest], np.zeros(town.frame.height, np.bool_)))
    assert (found.false_alerts, dict(found.false_subjects)) == (2, {"retail/account nobody": 2})


def test_exposure_grows_with_every_answered_second() -> None:
    """Two calls of 60 s, each a cent of a unit per ms: 10 units are reached 500 ms after the second one was answered."""
    rows = calls(2, setup_ms=[0, 500], pdd_ms=[0, 0], ring_ms=[0, 0], talk_ms=[60_000, 60_000], episode="e")
    rows = rows.with_columns(loss_nanos=pl.lit(60_000 * 10**7))
    assert exposed_at_ms(rows) == 750
    assert exposed_at_ms(rows.with_columns(loss_nanos=pl.lit(10**9))) is None


def test_a_block_refuses_by_account_range_and_time() -> None:
    frame = calls(4, tenant=["t", "t", "u", "t"], account="a", b_number=[441, 331, 441, 441], setup_ms=[10, 10, 10, 30])
    assert refused_by(frame, [Block("t", "a", 5, 20, "44")]).tolist() == [True, False, False, False]
    assert refused_by(frame, [Block("t", "a", 5, 20)]).tolist() == [True, True, False, False]
