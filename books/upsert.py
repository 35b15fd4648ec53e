"""Insert or replace, in the spelling that SQLite and PostgreSQL share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def put(conn: sa.Connection, table: sa.Table, row: Mapping[str, Any], keep: Iterable[str] = ()) -> None:
    """The row is there afterwards, with these values; columns in `keep` keep what an earlier row had."""
    insert: Any = (postgresql if conn.dialect.name == "postgresql" else sqlite).insert(table).values(**row)
    primary = [column.name for column in table.primary_key]
    changed = {name: insert.excluded[name] for name in row if name not in primary and name not in set(keep)}
    conn.execute(insert.on_conflict_do_update(index_elements=primary, set_=changed) if changed else _nothing(insert, primary))


def put_once(conn: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Inserts the row unless its primary key is taken. True = it is new."""
    insert: Any = (postgresql if conn.dialect.name == "postgresql" else sqlite).insert(table).values(**row)
    return bool(conn.execute(_nothing(insert, [column.name for column in table.primary_key])).rowcount)


def _nothing(insert: Any, primary: list[str]) -> Any:
    return insert.on_conflict_do_nothing(index_elements=primary)
