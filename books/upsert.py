"""Insert or replace, in the SQL that SQLite and PostgreSQL share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def put(conn: sa.Connection, table: sa.Table, row: Mapping[str, Any], keep: Iterable[str] = ()) -> None:
    """Inserts or replaces the row; the columns of `keep` are not changed in a row that exists."""
    conn.execute(_statement(conn.dialect.name, table, tuple(row), frozenset(keep), False), row)


def put_all(conn: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts or replaces rows of the same columns."""
    if rows:
        conn.execute(_statement(conn.dialect.name, table, tuple(rows[0]), frozenset(), False), list(rows))


def put_once(conn: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Inserts the row unless its primary key is taken. True = it is new."""
    return conn.execute(_statement(conn.dialect.name, table, tuple(row), frozenset(), True), row).rowcount == 1


@lru_cache(256)
def _statement(dialect: str, table: sa.Table, names: tuple[str, ...], keep: frozenset[str], once: bool) -> Any:
    """Built once for rows of the same columns: building it takes longer than running it."""
    insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    primary = [column.name for column in table.primary_key]
    insert = insert.values({name: sa.bindparam(name) for name in names})
    changed = {name: insert.excluded[name] for name in names if name not in primary and name not in keep}
    if once or not changed:
        # Without the option psycopg's count is read when its cursor is closed already, and is -1 for a row that was there.
        return insert.on_conflict_do_nothing(index_elements=primary).execution_options(preserve_rowcount=True)
    return insert.on_conflict_do_update(index_elements=primary, set_=changed)


def insert_once(conn: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts the rows (of the same columns) whose primary key is not taken."""
    if rows:
        conn.execute(_statement(conn.dialect.name, table, tuple(rows[0]), frozenset(), True), list(rows))
