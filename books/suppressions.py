"""A block that a person has lifted stays lifted: while a suppression lasts, no automatic order that overlaps its key takes effect."""

from __future__ import annotations

import sqlalchemy as sa

from books import audit, tables
from books.deliveries import key_row, row_key
from core.decide import Suppression
from core.orders import Key

DEFAULT_MS = 24 * 3_600_000


def add(conn: sa.Connection, key: Key, until_ms: int, who: str, why: str, now_ms: int) -> int:
    row = {**key_row(key), "until_ms": until_ms, "who": who, "why": why, "at_ms": now_ms}
    inserted = conn.execute(sa.insert(tables.suppressions).values(**row).returning(tables.suppressions.c.id)).scalar_one()
    audit.note(conn, who, "suppressed", key.text(), f"until {until_ms}: {why}", now_ms)
    return int(inserted)


def live(conn: sa.Connection, now_ms: int) -> list[Suppression]:
    """The suppressions in force, the longest first."""
    t = tables.suppressions.c
    query = sa.select(tables.suppressions).where(t.until_ms > now_ms).order_by(t.until_ms.desc())
    return [Suppression(row.id, row_key(row), row.until_ms, row.who, row.why) for row in conn.execute(query)]
