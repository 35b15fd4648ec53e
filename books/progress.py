"""The offset up to which a reader has read a partition, stored in the transaction of the rows that it made of it."""

from __future__ import annotations

import sqlalchemy as sa

from books import tables
from books.upsert import put


def load(conn: sa.Connection, reader: str, topic: str, partition: int) -> int | None:
    """The offset of the next message to read, or None for a reader that has read nothing."""
    t = tables.progress.c
    query = sa.select(t.next_offset).where(t.reader == reader, t.topic == topic, t.partition == partition)
    return conn.execute(query).scalar()


def store(conn: sa.Connection, reader: str, topic: str, partition: int, next_offset: int) -> None:
    put(
        conn,
        tables.progress,
        {"reader": reader, "topic": topic, "partition": partition, "next_offset": next_offset},
    )
