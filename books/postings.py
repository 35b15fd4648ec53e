"""Posting batches: which charges the ledger has since which batch. Numbered from 1, never changed."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from books import tables
from core.posted import NOTHING, Posted


class Batch(NamedTuple):
    number: int  # 0 = nothing was posted yet
    posted: Posted
    charges: int
    at_ms: int


def last(conn: sa.Connection) -> Batch:
    """The newest batch."""
    t = tables.posting_batches.c
    row = conn.execute(sa.select(tables.posting_batches).order_by(t.number.desc()).limit(1)).first()
    return Batch(0, NOTHING, 0, 0) if row is None else Batch(row.number, Posted.of_json(row.posted), row.charges, row.at_ms)


def find(conn: sa.Connection, number: int) -> Batch | None:
    """A batch by its number; of 0, which is before the first, an empty one."""
    if number == 0:
        return Batch(0, NOTHING, 0, 0)
    row = conn.execute(sa.select(tables.posting_batches).where(tables.posting_batches.c.number == number)).first()
    return None if row is None else Batch(row.number, Posted.of_json(row.posted), row.charges, row.at_ms)


def add(conn: sa.Connection, number: int, posted: Posted, charges: int, now_ms: int) -> bool:
    """Stores a batch; False = another job has stored one of this number, so nothing was changed."""
    t = tables.posting_batches
    if conn.dialect.name == "postgresql":  # the other job's transaction may be open: wait for it, for as long as it takes to write a batch
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTING})")
    if last(conn).number != number - 1:
        return False
    conn.execute(sa.insert(t).values(number=number, posted=posted.to_json(), charges=charges, at_ms=now_ms))
    return True


POSTING = 0x52464E45
"""PostgreSQL's advisory lock of the one job that posts charges; other writers of the ledger do not take it."""
