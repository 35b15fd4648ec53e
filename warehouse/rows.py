"""Inserts Arrow tables into a table, and returns the answer to a query as dicts.

The embedded engine reads the buffers of an Arrow table in this process (the table function `Python`): no
copy, no cast, no temporary file, half of the processor time. A server gets it over HTTP.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client

from core.schemas import TABLES
from warehouse.errors import WarehouseError
from warehouse.faults import explained
from warehouse.opening import DATABASE
from warehouse.queries import Query

RATING_RUNS = pl.Schema({"run": pl.Int64, "counts": pl.Boolean, "set_ms": pl.Int64, "who": pl.String, "why": pl.String})
"""A row of the table `rating_runs`: from now on a run counts, or it does not."""

SCHEMAS = {**TABLES, "rating_runs": RATING_RUNS}
"""The tables that rows can be inserted into."""

HTTP_SETTINGS = {
    "async_insert": 0,  # success means stored
    "max_partitions_per_insert_block": 0,  # a file of a year is one batch of 365 days
    "input_format_null_as_default": 1,  # a null text is "not known", which is ""
}

EMBEDDED_SETTINGS = {
    "max_partitions_per_insert_block": 0,
    "insert_null_as_default": 1,
    "optimize_on_insert": 0,  # repeats inside one insert stay until a merge; the views read each once, as across inserts
    "max_threads": 1,  # the other cores belong to the calls
    "max_insert_threads": 1,
    "min_insert_block_size_rows": 0,  # one insert is one part per day, up to the bytes of the next line
    "min_insert_block_size_bytes": 1 << 30,
}


def insert(client: Client, table: str, rows: pa.Table) -> int:
    """Stores an Arrow table in one of `SCHEMAS`; returns the number of rows. Durable when it returns.

    A column that the table does not have, or of another type, is refused; one that the rows do not have gets its default (a batch that
    was written before the column existed). The same rows again are harmless: the table's key collapses them, and the views read them once.
    """
    if table not in SCHEMAS:
        raise WarehouseError(f"there is no table {table!r} to insert into; there are {', '.join(SCHEMAS)}")
    _check_types(table, rows.schema)
    if rows.num_rows:
        with explained(f"{client.uri} (insert of {rows.num_rows} rows into {table})"):
            if client.uri.startswith("chdb://"):
                _insert_in_process(client.uri.removeprefix("chdb://"), table, rows)
            else:
                client.insert_arrow(table, _plain(rows), settings=HTTP_SETTINGS)
    return int(rows.num_rows)


def _check_types(table: str, found: pa.Schema) -> None:
    """The engine casts silently: a text that is no number, or a number that is too large, would be stored as 0.

    >>> _check_types("records", pa.schema([("offset", pa.int32())]))
    Traceback (most recent call last):
    ...
    warehouse.errors.WarehouseError: rows for records have the column 'offset' as int32: int64 was expected
    """
    expected = pl.DataFrame(schema=SCHEMAS[table]).to_arrow().schema
    for field in found:
        if field.name not in expected.names or pa.types.is_null(field.type):
            continue
        wanted = expected.field(field.name).type
        if _plain_type(field.type) != _plain_type(wanted):
            raise WarehouseError(f"rows for {table} have the column {field.name!r} as {field.type}: {wanted} was expected")


def _insert_in_process(directory: str, table: str, rows: pa.Table) -> None:
    """By a connection of its own (0.2 ms): clickhouse-connect cannot use the table function, and writes a file per insert."""
    import chdb  # most processes never insert: see `warehouse.faults`

    rows = rows.combine_chunks()  # one block for the engine instead of one per batch: half of its processor time
    columns = ", ".join(quote_identifier(name) for name in rows.column_names)
    settings = ", ".join(f"{name} = {value}" for name, value in EMBEDDED_SETTINGS.items())
    engine = chdb.connect(directory)  # type: ignore[no-untyped-call]
    try:
        # `Python(rows)` is the variable of this frame: the engine looks for the name where `query` is called.
        engine.query(f"INSERT INTO {DATABASE}.{table} ({columns}) SELECT {columns} FROM Python(rows) SETTINGS {settings}", "Null")
    finally:
        engine.close()


def ask(client: Client, query: Query) -> list[dict[str, Any]]:
    """The rows that answer a query of `warehouse.queries`."""
    sql, params = query
    with explained(client.uri):
        result = client.query(sql, parameters=params)
    return list(result.named_results())


def frame(client: Client, query: Query, *, threads: int = 0) -> pl.DataFrame:
    """The answer as a frame, for results of many rows. `threads`: of the embedded engine, 0 = one per core; a server decides itself."""
    sql, params = query
    settings = {"max_threads": threads} if threads and client.uri.startswith("chdb://") else None
    with explained(client.uri):
        table = client.query_arrow(sql, parameters=params, settings=settings, use_strings=True)
    return pl.DataFrame(pl.from_arrow(table))


def _plain(rows: pa.Table) -> pa.Table:
    """Every text and byte column in the form that every reader of Arrow knows."""
    schema = pa.schema([field.with_type(_plain_type(field.type)) for field in rows.schema])
    return rows if schema == rows.schema else rows.cast(schema)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """
    >>> _plain_type(pa.dictionary(pa.int32(), pa.string_view())), _plain_type(pa.binary()), _plain_type(pa.int32())
    (DataType(large_string), DataType(large_binary), DataType(int32))
    """
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string_view(kind) or pa.types.is_string(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind) or pa.types.is_binary(kind):
        return pa.large_binary()
    return kind
