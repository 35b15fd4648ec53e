"""Who works on which alert: one person per alert."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from books import audit, tables
from books.upsert import put, put_once

_t = tables.alert_takes.c


def take(conn: sa.Connection, finding_id: str, who: str, over: bool, now_ms: int) -> tuple[str, int]:
    """Takes an alert unless another person has it; `over`: even then. Returns who has it now, and since when."""
    row = {"finding_id": finding_id, "who": who, "at_ms": now_ms}
    if put_once(conn, tables.alert_takes, row):
        audit.note(conn, who, "took an alert", finding_id, "", now_ms)
        return who, now_ms
    has = of(conn, [finding_id])[finding_id]
    if not over or has[0] == who:
        return has
    put(conn, tables.alert_takes, row)
    audit.note(conn, who, "took an alert over", finding_id, f"from {has[0]}", now_ms)
    return who, now_ms


def release(conn: sa.Connection, finding_id: str, who: str, now_ms: int) -> bool:
    gone = bool(conn.execute(sa.delete(tables.alert_takes).where(_t.finding_id == finding_id, _t.who == who)).rowcount)
    if gone:
        audit.note(conn, who, "gave an alert back", finding_id, "", now_ms)
    return gone


def of(conn: sa.Connection, finding_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Alert -> who has it, and since when."""
    rows = conn.execute(sa.select(_t.finding_id, _t.who, _t.at_ms).where(_t.finding_id.in_(finding_ids))) if finding_ids else ()
    return {row.finding_id: (row.who, row.at_ms) for row in rows}
