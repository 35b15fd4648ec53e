"""Frames from rows and columns, without expressions: one costs a tenth of a millisecond per batch, however few rows it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl


@lru_cache(maxsize=4096)
def _one(name: str, value: Any, dtype: Any) -> pl.Series:
    return pl.Series(name, [value], dtype=dtype, strict=True)


def column(name: str, values: Sequence[Any], dtype: Any) -> pl.Series:
    """A column of Python's own values. One value throughout, as most columns of a batch have, is converted once and remembered.

    >>> column("leg", ("", "", ""), pl.String).to_list(), column("q850", [16, None], pl.Int32).to_list()
    (['', '', ''], [16, None])
    """
    if len(values) > 1 and values[0] == values[-1] and values.count(values[0]) == len(values):
        return _one(name, values[0], dtype).new_from_index(0, len(values))
    return pl.Series(name, values, dtype=dtype, strict=True)


def texts(height: int, rows: Sequence[int], values: Iterable[str]) -> pl.Series:
    """A column of text that has `values` in some rows and "" in the others.

    >>> texts(3, [1], ["acme"]).to_list()
    ['', 'acme', '']
    """
    found = [""] * height
    for row, value in zip(rows, values, strict=True):
        found[row] = value
    return pl.Series(found, dtype=pl.String)


def of_rows(rows: Sequence[tuple[Any, ...]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """A frame from rows, whose values stand in the order of the schema.

    >>> of_rows([("acme", 1), ("blue", 2)], pl.Schema({"account": pl.String, "calls": pl.Int64})).shape
    (2, 2)
    """
    if not rows:
        return pl.DataFrame(schema=schema)
    return pl.DataFrame([column(name, values, dtype) for (name, dtype), values in zip(schema.items(), zip(*rows, strict=True), strict=True)])


class Table:
    """Rows as named columns of Python's own values, for stages that take them one by one; the frame and the arrays of the same columns are
    made when they are asked for.

    >>> table = Table([("acme", 1), ("blue", 2)], pl.Schema({"account": pl.String, "calls": pl.Int64}))
    >>> table["account"], int(table.array("calls").sum()), table.frame.shape
    (('acme', 'blue'), 3, (2, 2))
    """

    __slots__ = ("_arrays", "_columns", "height", "schema")

    def __init__(self, rows: Sequence[tuple[Any, ...]], schema: Mapping[str, Any]) -> None:
        self.height, self.schema = len(rows), schema
        columns: Iterable[tuple[Any, ...]] = zip(*rows, strict=True) if rows else ((),) * len(schema)
        self._columns: dict[str, tuple[Any, ...]] = dict(zip(schema, columns, strict=True))
        self._arrays: dict[str, np.ndarray[Any, Any]] = {}

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        return self._columns[name]

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """A column without nulls as an array."""
        found = self._arrays.get(name)
        if found is None:
            found = self._arrays[name] = np.array(self._columns[name], np.bool_ if self.schema[name] == pl.Boolean else np.int64)
        return found

    def rows(self, names: Iterable[str], at: Sequence[int]) -> list[pl.Series]:
        """Some columns of some rows."""
        return [column(name, [values[i] for i in at], self.schema[name]) for name, values in ((name, self._columns[name]) for name in names)]

    @property
    def frame(self) -> pl.DataFrame:
        """All of it, for people and notebooks."""
        return pl.DataFrame([column(name, values, self.schema[name]) for name, values in self._columns.items()])


def of_columns(names: Iterable[str], frame: pl.DataFrame, own: Mapping[str, pl.Series]) -> pl.DataFrame:
    """A frame of these columns, in this order: from `own` where it has them, else from `frame`."""
    return pl.DataFrame([own[name] if name in own else frame.get_column(name) for name in names])
