"""Frames made from Python's own values are the frames that Polars would make of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from core.frames import Table, column, of_columns, of_rows

SCHEMA = pl.Schema({"account": pl.String, "calls": pl.Int64, "answered": pl.Boolean})
rows = st.lists(st.tuples(st.sampled_from(["", "acme", "blue"]), st.integers(0, 2), st.booleans()), max_size=6)


@given(st.lists(st.none() | st.integers(-1, 1), max_size=5) | st.lists(st.just(3), max_size=5))
def test_a_column_has_its_values_in_their_order(values):
    assert_series_equal(column("calls", values, pl.Int32), pl.Series("calls", values, dtype=pl.Int32))


def test_a_column_takes_no_value_of_another_type():
    for values in (["x"], ["x", "x"]):
        with pytest.raises((TypeError, pl.exceptions.PolarsError)):
            column("calls", values, pl.Int64)


@given(rows)
def test_a_table_and_a_frame_of_the_same_rows_are_equal(found):
    expected = pl.DataFrame(found, schema=SCHEMA, orient="row")
    table = Table(found, SCHEMA)
    assert_frame_equal(of_rows(found, SCHEMA), expected)
    assert_frame_equal(table.frame, expected)
    assert table.height == len(found) and table["account"] == tuple(account for account, _, _ in found)
    for name, dtype in (("calls", np.int64), ("answered", np.bool_)):
        array = table.array(name)
        assert array.dtype == dtype and array.tolist() == expected[name].to_list() and table.array(name) is array


@given(rows, st.data())
def test_some_columns_of_some_rows(found, data):
    at = data.draw(st.lists(st.integers(0, len(found) - 1), max_size=4)) if found else []
    expected = pl.DataFrame(found, schema=SCHEMA, orient="row")[at].select("calls", "account")
    assert_frame_equal(pl.DataFrame(Table(found, SCHEMA).rows(["calls", "account"], at)), expected)


def test_rows_of_another_width_are_refused():
    for found in ([("acme", 1)], [("acme", 1, True), ("blue", 2)], [("acme", 1, True, None)]):
        with pytest.raises(ValueError, match="zip"):
            of_rows(found, SCHEMA)
        with pytest.raises(ValueError, match="zip"):
            Table(found, SCHEMA)


def test_own_columns_replace_those_of_the_frame():
    frame = pl.DataFrame({"a": [1], "b": [2], "c": [3]})
    assert of_columns(["c", "a"], frame, {"a": pl.Series("a", [9])}).to_dicts() == [{"c": 3, "a": 9}]
