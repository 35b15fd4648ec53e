"""Rows in and rows out: Arrow tables straight into a table, and the answer to a query as dicts."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from core.schemas import TABLES
from warehouse.errors import WarehouseError
from warehouse.faults import explained
from warehouse.queries import Query

INSERT = {
    "async_insert": 0,  # success means stored
    "max_partitions_per_insert_block": 0,  # a file of a year is one batch of 365 days
    "input_format_null_as_default": 1,  # a null text is "not known", which is ""
}


def insert(client: Client, table: str, rows: pa.Table) -> int:
    """Stores an Arrow table in `records` or `rated_calls`; returns how many rows. Durable when it returns.

    A column that the table does not have is refused; one that the rows do not have gets its default (a batch that was written
    before the column existed). The same rows again are harmless: the table's key collapses them, and the views read them once.
    """
    if table not in TABLES:
        raise WarehouseError(f"there is no table {table!r} to insert into; there are {', '.join(TABLES)}")
    if rows.num_rows:
        with explained(f"{client.uri} (insert of {rows.num_rows} rows into {table})"):
            client.insert_arrow(table, _plain(rows), settings=INSERT)
    return int(rows.num_rows)


def ask(client: Client, query: Query) -> list[dict[str, Any]]:
    """The rows that answer a query of `warehouse.queries`."""
    sql, params = query
    with explained(client.uri):
        result = client.query(sql, parameters=params)
    return list(result.named_results())


def _plain(rows: pa.Table) -> pa.Table:
    """String views, which not every reader of Arrow knows, as plain strings; dictionaries as their values."""
    fields = []
    for field in rows.schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string_view(kind):
            kind = pa.large_string()
        elif pa.types.is_binary_view(kind):
            kind = pa.large_binary()
        fields.append(field.with_type(kind))
    schema = pa.schema(fields)
    return rows if schema == rows.schema else rows.cast(schema)
