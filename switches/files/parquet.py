"""A Parquet file of calls as raw rows: types become the texts that a mapping reads, a column at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from switches.files.mapping import Mapping, MappingError, parts
from switches.files.rows import JsonNumber, Raw, names_currency

ROWS = 65_536
"""Rows that are texts at a time: the file itself is held in its own types, at a tenth of their size."""

TIME = "%Y-%m-%dT%H:%M:%S%.6f"


def read_parquet(path: Path, mapping: Mapping) -> Iterator[Raw]:
    """Its rows in their order, counted from 1: the columns that the mapping names, and those that seem to name a currency. `MappingError` where
    it is no Parquet file, or has not the columns."""
    try:
        schema = pl.read_parquet_schema(path)
        names = _columns(path.name, list(schema), mapping)
        if strange := [f"{name} ({schema[name]})" for name in names if not _is_plain(schema[name])]:
            raise MappingError(f"{path.name}: column {', '.join(strange)} is neither a text, a number, a time nor a struct of these")
        frame = pl.read_parquet(path, columns=names)
    except (pl.exceptions.PolarsError, OSError) as wrong:
        why = str(wrong).splitlines()[0]
        raise MappingError(f"{path.name}: it cannot be read as Parquet: {why}; format in the mapping says how a file is written") from None
    for start in range(0, frame.height, ROWS):
        some = frame[start : start + ROWS]
        texts = some.select(pl.struct(pl.all()).struct.json_encode()).to_series()
        columns = [_texts(some[name]) for name in names]
        for line, text, *cells in zip(range(start + 1, frame.height + 1), texts, *columns, strict=False):
            yield Raw(line, text, dict(zip(names, cells, strict=True)), "")


def _columns(file: str, found: list[str], mapping: Mapping) -> list[str]:
    wanted = [str(part) for column in mapping.columns.values() for part in parts(column)]
    tops = [name if name in found else name.partition(".")[0] for name in wanted]
    if missing := sorted({name for name, top in zip(wanted, tops, strict=True) if top not in found}):
        raise MappingError(f"{file}: no column {', '.join(missing)} in the file; it has {', '.join(found) or 'none'}")
    return list(dict.fromkeys([*tops, *filter(names_currency, found)]))


def _is_plain(kind: pl.DataType) -> bool:
    if isinstance(kind, pl.Struct):
        return all(_is_plain(one) for one in pl.Schema(kind.to_schema()).values())
    plain = (pl.String, pl.Boolean, pl.Null, pl.Date, pl.Datetime, pl.Categorical, pl.Enum)
    return kind.is_numeric() or isinstance(kind, plain)


def _texts(column: pl.Series) -> list[Any]:
    """Cells as JSON would have them: numbers exactly, times in ISO, with their offset where the column has a zone; None = no value."""
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        return column.dt.to_string(TIME + ("%:z" if kind.time_zone else "")).to_list()
    if kind.is_numeric():
        return [None if text is None else JsonNumber(text) for text in column.cast(pl.String)]
    if isinstance(kind, (pl.Date, pl.Categorical, pl.Enum)):
        return column.cast(pl.String).to_list()
    return column.to_list()  # texts, truth values, and structs, in which a mapping names parts
