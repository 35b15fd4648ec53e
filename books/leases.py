"""Leases: one holder of a name at a time, with a fencing number that only rises, so that a command of an earlier holder can be refused."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from books import tables
from books.upsert import put


class Lease(NamedTuple):
    name: str
    holder: str
    fence: int
    until_ms: int


def acquire(conn: sa.Connection, name: str, holder: str, ttl_ms: int, now_ms: int) -> Lease | None:
    """Takes or renews the lease; None = another holder has it. A new holder gets a new fencing number.

    The number is at least the time in ms, so that new books, or books from a backup, are not behind a number that a switch was sent before.
    """
    t = tables.leases.c
    row = conn.execute(sa.select(t.holder, t.fence, t.until_ms).where(t.name == name)).first()
    if row and row.holder != holder and row.until_ms > now_ms:
        return None
    mine = row is not None and row.holder == holder and row.until_ms > now_ms
    fence = row.fence if row and mine else max(now_ms, row.fence + 1 if row else 0)
    lease = Lease(name, holder, fence, now_ms + ttl_ms)
    put(conn, tables.leases, lease._asdict())
    return lease


def release(conn: sa.Connection, lease: Lease) -> None:
    """Ends the lease at once; its fencing number is not used again."""
    t = tables.leases.c
    mine = sa.and_(t.name == lease.name, t.holder == lease.holder, t.fence == lease.fence)
    conn.execute(sa.update(tables.leases).where(mine).values(until_ms=0))


def held_since(conn: sa.Connection, name: str, since_ms: int) -> bool:
    """Whether somebody holds the lease, or has held it until after `since_ms` without giving it back."""
    t = tables.leases.c
    until_ms = conn.execute(sa.select(t.until_ms).where(t.name == name)).scalar()
    return until_ms is not None and int(until_ms) > since_ms
