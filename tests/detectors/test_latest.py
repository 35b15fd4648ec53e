"""The latest items of a subject: distinct, at most five, of a bounded number of subjects."""

from __future__ import annotations

import pytest

from detectors import latest
from detectors.latest import Cursor, Latest, New


def after(*items: str) -> list[str]:
    """The items of a subject that a frame of these rows leaves."""
    state: dict[int, Latest[str]] = {}
    Cursor(state, [New(row, 7, 3, item) for row, item in enumerate(items)]).finish()
    assert not items or state[7].home == 3
    return state[7].items if items else []


@pytest.mark.parametrize(
    ("items", "expected"),
    [("", ""), ("a", "a"), ("abcde", "abcde"), ("abcdef", "bcdef"), ("aba", "ba"), ("aaaaaab", "ab"), ("abcdeaf", "cdeaf")],
)
def test_the_latest_five_distinct_items_stay_oldest_first(items, expected):
    assert after(*items) == list(expected)


def test_a_row_has_the_items_up_to_itself_and_finish_adds_the_rest():
    state: dict[int, Latest[str]] = {9: Latest(1, ["before"])}
    cursor = Cursor(state, [New(2, 9, 1, "a"), New(2, 7, 1, "b"), New(4, 9, 1, "c")])
    assert [cursor.until(row, 9) for row in (1, 2, 3)] == [["before"], ["before", "a"], ["before", "a"]]
    assert cursor.until(3, 7) == ["b"] and cursor.until(3, 8) == []
    cursor.until(3, 9).append("not in the state")
    cursor.finish()
    assert state[9].items == ["before", "a", "c"]


def test_the_subject_that_came_first_goes_first(monkeypatch):
    monkeypatch.setattr(latest, "MOST_SUBJECTS", 2)
    state: dict[int, Latest[str]] = {}
    Cursor(state, [New(row, key, 1, "a") for row, key in enumerate([5, 6, 5, 7])]).finish()
    assert list(state) == [6, 7]
    Cursor(state, []).finish()
    assert list(state) == [6, 7]


def test_the_default_maximum_is_fifty_thousand_subjects():
    state: dict[int, Latest[str]] = {}
    Cursor(state, [New(key, key, 1, "a") for key in range(50_001)]).finish()
    assert len(state) == 50_000 and 0 not in state
