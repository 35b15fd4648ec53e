"""Decayed sums, row by row: half-lives of 1 s and 8 s, so that the windows are 2 s long."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from detectors.columns import Columns
from detectors.decay import DECAYED, FADING, FLOATS, INTS, STATE, decay_rows, fade_rows

T_MS, HALF_MS, LONG_MS = 1_000_000, 1000.0, 8000.0
EURO = 10**9


class Row(NamedTuple):
    after_ms: int
    weighted: float = 1.0
    nanos: int = EURO
    calls: int = 1
    talk_ms: int = 10
    number: int = 7
    started_ms: int = 10**15  # later than the row: it is no whole call
    slot: int = 0


def run(*rows: Row) -> list[dict]:
    """What each row has of its subject."""
    state, floats, ints = Columns(STATE), np.zeros((len(rows), len(FLOATS))), np.zeros((len(rows), len(INTS)), np.int64)
    after, weighted, nanos, calls, talk_ms, number, started, slot = (np.asarray(column) for column in zip(*rows, strict=True))
    columns = (state[name] for name in DECAYED)
    decay_rows(slot, T_MS + after, started, nanos, weighted, talk_ms, calls, number, HALF_MS, LONG_MS, *columns, floats, ints)
    return [dict(zip((*FLOATS, *INTS), (*some, *more), strict=True)) for some, more in zip(floats.tolist(), ints.tolist(), strict=True)]


def test_the_sums_after_a_first_row():
    assert run(Row(0, 6.0, 2 * EURO, 1, 500, 71)) == [
        {
            "weighted": 6.0, "usual": 0.0, "usual_money": 2.0, "calls": 1.0, "lead": 6.0, "sum_nanos": 2 * EURO, "sum_calls": 1, "sum_talk_ms": 500,
            "since_ms": T_MS, "top": 71, "began_ms": T_MS, "now_nanos": 2 * EURO, "now_calls": 1, "now_talk_ms": 500,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([Row(0, 4.0), Row(0, 1.0)], {"weighted": 5.0, "calls": 2.0, "usual_money": 2.0, "usual": 4.0 / 8}),
        ([Row(0, 4.0), Row(1000, 1.0)], {"weighted": 3.0, "calls": 1.5, "lead": 3.0}),
        ([Row(0, 4.0), Row(2000, 0.0, calls=0)], {"weighted": 1.0, "calls": 0.25, "lead": 1.0}),
        ([Row(0, 4.0), Row(8000, 1.0)], {"usual": 4.0 / 2 / 8, "usual_money": 1.5, "weighted": 4 / 2**8 + 1}),
        ([Row(0, 4.0), Row(8000, 1.0), Row(16000, 9.0)], {"usual": (4.0 / 4 + 1 / 2) / 8}),  # this row is left out
        # a late row has decayed already, and does not set the clock back
        ([Row(1000, 4.0), Row(0, 2.0)], {"weighted": 5.0, "calls": 1.5, "lead": 5.0, "usual": 4.0 / 8}),
        ([Row(8000, 4.0), Row(0, 4.0)], {"usual_money": 1.5}),
        ([Row(8000, 4.0), Row(0, 4.0), Row(8000, 0.0)], {"usual": 6.0 / 8, "weighted": 4 + 4 / 2**8}),
        ([Row(1000, 4.0), Row(0, 2.0), Row(2000, 0.0)], {"weighted": 2.5}),
        # subjects are apart
        ([Row(0, 4.0), Row(0, 1.0, slot=1, number=9)], {"weighted": 1.0, "sum_calls": 1, "top": 9, "usual": 0.0}),
        # exact sums never decay, and a subject is as old as its first row
        ([Row(0), Row(50_000), Row(99_000)], {"sum_nanos": 3 * EURO, "sum_calls": 3, "sum_talk_ms": 30, "since_ms": T_MS}),
    ],
)
def test_the_sums_after_several_rows(rows, expected):
    found = run(*rows)[-1]
    assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("votes", "top", "lead"),
    [
        ([(7, 5.0), (8, 3.0)], 7, 2.0),
        ([(7, 5.0), (8, 3.0), (7, 1.0)], 7, 3.0),
        ([(7, 5.0), (8, 3.0), (9, 4.0)], 9, 2.0),
        ([(7, 5.0), (8, 3.0), (9, 2.0)], 7, 0.0),  # as much as it leads by: it still leads
        ([(7, 5.0), (8, 5.0), (9, 1.0)], 9, 1.0),
    ],
)
def test_the_leading_number_is_the_majority_vote(votes, top, lead):
    found = run(*(Row(0, weighted, number=number) for number, weighted in votes))[-1]
    assert (found["top"], found["lead"]) == (top, lead)


def test_a_late_row_votes_with_its_decayed_money():
    found = run(Row(1000, 5.0, number=7), Row(0, 4.0, number=8))[-1]
    assert (found["top"], found["lead"]) == (7, 3.0)


@pytest.mark.parametrize(
    ("after_ms", "began", "calls"),
    [
        ([0, 999], 0, 2),
        ([0, 1000], 1000, 1),  # a half-life of silence: anew
        ([0, 500, 1499], 0, 3),
        ([0, 900, 1800, 1999], 0, 4),  # the window that runs
        ([0, 900, 1800, 2000], 0, 4),  # the next one: both count
        ([0, 900, 1800, 2000, 2900, 3800, 3999], 0, 7),
        ([0, 900, 1800, 2000, 2900, 3800, 4000], 2000, 4),  # the first window is over
        ([0, 900, 1800, 2000, 2900, 3800, 4000, 5000], 5000, 1),
        ([1500, 0, 1600], 1500, 3),  # a late row belongs to the window that runs
    ],
)
def test_the_recent_sums_are_those_of_two_windows(after_ms, began, calls):
    found = run(*map(Row, after_ms))[-1]
    assert (found["began_ms"] - T_MS, found["now_calls"], found["now_nanos"], found["now_talk_ms"]) == (began, calls, calls * EURO, calls * 10)


@pytest.mark.parametrize(("started", "began"), [(-500, -500), (-5000, -2000), (-2000, -2000), (0, 0), (100, 0)])
def test_a_row_that_is_a_whole_call_begins_its_window_at_the_start_of_the_call(started, began):
    found = run(Row(0, started_ms=T_MS + started))[-1]
    assert found["began_ms"] - T_MS == began and found["since_ms"] == T_MS


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        ([(0, 4), (1000, 1)], [4.0, 3.0]),
        ([(0, 4), (0, 1)], [4.0, 5.0]),
        ([(1000, 4), (0, 2), (2000, 0)], [4.0, 5.0, 2.5]),  # a late row has decayed already, and does not set the clock back
    ],
)
def test_a_count_decays_in_the_same_way(rows, counts):
    state, found = Columns(FADING), np.zeros(len(rows))
    after, calls = (np.asarray(column) for column in zip(*rows, strict=True))
    fade_rows(np.zeros(len(rows), np.int64), T_MS + after, calls, HALF_MS, state["t_ms"], state["calls"], found)
    assert found.tolist() == counts
