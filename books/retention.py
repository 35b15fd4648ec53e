"""Removal of old rows: alerts, orders and suppressions that have ended; and the audit log, where a person asks for it.

Rows with an effect are never removed: orders that stand, are in shadow or wait for a person, and orders whose entry a switch still holds.
A message that is read again after its alert or order was removed makes an old alert, or a stale order; it blocks nobody.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from books import audit, tables
from core.decide import LIVE

DAY_MS = 86_400_000
AT_ONCE = 2_000
"""Rows per transaction: people and the dispatcher write in between."""


class Held(NamedTuple):
    """How many rows there are of a kind, and the time of the oldest."""

    rows: int
    oldest_ms: int | None


def held(conn: sa.Connection) -> dict[str, Held]:
    """The kinds of rows that grow."""
    found = {}
    for name, column in (
        ("alerts", tables.alerts.c.updated_ms),
        ("block_orders", tables.block_orders.c.received_at_ms),
        ("suppressions", tables.suppressions.c.at_ms),
        ("audit", tables.audit.c.at_ms),
    ):
        rows, oldest_ms = conn.execute(sa.select(sa.func.count(), sa.func.min(column))).one()
        found[name] = Held(int(rows), oldest_ms)
    return found


def newest_ms(conn: sa.Connection) -> int:
    """The newest time in the books; 0 where they are empty. Retention measures age up to this time, so that a clock which leaps makes no row
    old."""
    found = [
        conn.execute(sa.select(sa.func.max(column))).scalar() for column in (tables.alerts.c.updated_ms, tables.audit.c.at_ms)
    ]
    return max((at_ms for at_ms in found if at_ms), default=0)


def remove_old(conn: sa.Connection, now_ms: int, alerts_days: float, orders_days: float, most: int = AT_ONCE) -> dict[str, int]:
    """Removes at most `most` rows of each kind; 0 days = none. Call it until it returns {}."""
    gone = {}
    if alerts_days:
        t = tables.alerts
        gone["alerts"] = _delete(conn, t, t.c.finding_id, t.c.updated_ms < _before(now_ms, alerts_days), most)
        r = tables.route_tests
        gone["route_tests"] = _delete(conn, r, r.c.test_id, r.c.at_ms < _before(now_ms, alerts_days), most)
        n = tables.notices
        gone["notices"] = _delete(conn, n, n.c.id, n.c.changed_ms < _before(now_ms, max(alerts_days, 3)), most)
    if orders_days:
        o, s, before = tables.block_orders, tables.suppressions, _before(now_ms, orders_days)
        d = tables.deliveries.c.value
        held_somewhere = sa.exists().where(sa.or_(d == o.c.order_id, d.like(o.c.order_id + ";%")))  # `core.orders.entry_value`
        over = sa.and_(
            o.c.status.not_in((*LIVE, "waiting")),
            o.c.expires_at_ms < before,
            o.c.facts_expire_at_ms < before,
            o.c.status_at_ms < before,
            ~held_somewhere,
        )
        gone["block_orders"] = _delete(conn, o, o.c.order_id, over, most)
        gone["suppressions"] = _delete(conn, s, s.c.id, s.c.until_ms < before, most)
    return {name: rows for name, rows in gone.items() if rows}


def remove_audit(conn: sa.Connection, now_ms: int, days: float, who: str) -> int:
    """Removes lines of the audit log that are older than so many days, and adds a line that says so. Called for a person alone: the table
    refuses deletion except in this transaction."""
    a = tables.audit
    old = a.c.at_ms < _before(now_ms, days)
    rows = int(conn.execute(sa.select(sa.func.count()).select_from(a).where(old)).scalar() or 0)
    if not rows:
        return 0
    newest = conn.execute(sa.select(a.c.sha256).where(old).order_by(a.c.id.desc()).limit(1)).scalar()
    if conn.dialect.name == "sqlite":
        ((trigger,),) = conn.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'audit_no_delete'"
        ).all()
        conn.exec_driver_sql("DROP TRIGGER audit_no_delete")
        conn.execute(sa.delete(a).where(old))
        conn.exec_driver_sql(trigger)
    else:
        conn.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER audit_append_only")
        conn.execute(sa.delete(a).where(old))
        conn.exec_driver_sql("ALTER TABLE audit ENABLE TRIGGER audit_append_only")
    audit.note(conn, who, "removed", "audit", f"{rows} lines older than {days:g} days, up to {newest}", now_ms)
    return rows


def _before(now_ms: int, days: float) -> int:
    return now_ms - round(days * DAY_MS)


def _delete(conn: sa.Connection, table: sa.Table, key: sa.Column[object], old: sa.ColumnElement[bool], most: int) -> int:
    some = sa.select(key).where(old).limit(most)
    return conn.execute(sa.delete(table).where(key.in_(some))).rowcount
