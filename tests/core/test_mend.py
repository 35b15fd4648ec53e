"""Repair of records: a field that is not money never costs its record; money, identity and time are never repaired."""

from __future__ import annotations

import pytest

from core.mend import CODES, LATEST_MS, TEXTS, TIMES, mended


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_cut_at_its_length(name: str):
    most = TEXTS[name]
    assert mended({name: "x" * most}) == ({name: "x" * most}, [])
    assert mended({name: "x" * (most + 1)}) == ({name: "x" * most}, [f"{name} was cut from {most + 1} to {most} characters"])


def test_lengths_are_those_of_the_record():
    assert {TEXTS[name] for name in ("a_raw", "user_agent", "pai")} == {2048}
    assert LATEST_MS == 2**53
    assert {TEXTS[name] for name in ("lrn", "imei", "cell", "order_id")} == {128}


@pytest.mark.parametrize("value", [None, 5, 0.5, True])
def test_a_value_that_is_no_text_is_left_out(value: object):
    assert mended({"user_agent": value}) == ({}, [f"user_agent {value} was left out"])


@pytest.mark.parametrize("value", [{}, [], {"a": 1}, ["x"]])
def test_an_object_where_a_text_belongs_stays_and_is_a_reject(value: object):
    assert mended({"user_agent": value}) == ({"user_agent": value}, [])


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize(
    ("value", "kept"), [(0, True), (999, True), (None, True), (1000, False), (-1, False), ("16", False), (16.5, False), (True, False)]
)
def test_a_code_is_0_to_999_or_nothing(name: str, value: object, kept: bool):
    record, notes = mended({name: value})
    assert (name in record, not notes) == (kept, kept)


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize(
    ("value", "kept"),
    [(0, True), (LATEST_MS, True), (-LATEST_MS, True), (None, True), (LATEST_MS + 1, False), (-LATEST_MS - 1, False), ("1", False), (False, False)],
)
def test_a_time_that_decides_no_money_is_a_time_or_nothing(name: str, value: object, kept: bool):
    record, notes = mended({name: value})
    assert (name in record, not notes) == (kept, kept)


def test_choices_and_flags():
    assert mended({"release_side": "callee", "auth": "digest", "suspected_hung": True})[1] == []
    record, notes = mended({"release_side": "both", "auth": "none", "suspected_hung": "no", "b_raw": 5})
    assert record == {"b_raw": 5}, "the called number is never mended"
    assert notes == ["release_side 'both' was left out", "auth 'none' was left out", "suspected_hung 'no' was left out"]


def test_a_note_shows_the_beginning_of_a_long_value_and_the_argument_is_unchanged():
    given = {"q850": "9" * 60}
    assert mended(given) == ({}, [f"q850 '{'9' * 39}... was left out"]) and given == {"q850": "9" * 60}
    assert mended({"q850": "9" * 38})[1] == [f"q850 '{'9' * 38}' was left out"]
