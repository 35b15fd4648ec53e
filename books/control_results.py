"""What controls found, period by period: every run is kept, the last one is in force."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from assurance.controls.protocol import Result
from books import tables
from core.money import to_text


class StoredResult(msgspec.Struct, frozen=True, kw_only=True):
    """A result of a run."""

    tenant: str
    period: str
    result: Result
    at_ms: int


def period_key(from_ms: int, to_ms: int) -> str:
    """
    >>> period_key(0, 86_400_000)
    '0..86400000'
    """
    return f"{from_ms}..{to_ms}"


def add(conn: sa.Connection, tenant: str, from_ms: int, to_ms: int, results: Sequence[Result], now_ms: int) -> None:
    """Keeps the results of a run."""
    rows = [
        {
            "tenant": tenant, "control": one.control, "period": period_key(from_ms, to_ms), "status": one.status, "checked": one.checked,
            "count": one.count, "money": msgspec.json.encode({unit: to_text(nanos) for unit, nanos in one.money.items()}).decode(),
            "result": msgspec.json.encode(one).decode(), "at_ms": now_ms,
        }
        for one in results
    ]  # fmt: skip
    if rows:
        conn.execute(sa.insert(tables.control_results), rows)


def latest(conn: sa.Connection, tenant: str, from_ms: int, to_ms: int) -> list[StoredResult]:
    """The last result of each control of a period, by its name."""
    t = tables.control_results.c
    newest = (
        sa.select(sa.func.max(t.id)).where(t.tenant == tenant, t.period == period_key(from_ms, to_ms)).group_by(t.control).scalar_subquery()
    )
    return _stored(conn, sa.select(tables.control_results).where(t.id.in_(newest)).order_by(t.control))


def history(conn: sa.Connection, tenant: str, control: str = "", limit: int = 500) -> list[StoredResult]:
    """Every run, the newest first."""
    t = tables.control_results.c
    query = sa.select(tables.control_results).where(t.tenant == tenant).order_by(t.id.desc()).limit(limit)
    return _stored(conn, query.where(t.control == control) if control else query)


def _stored(conn: sa.Connection, query: sa.Select[tuple[object, ...]]) -> list[StoredResult]:
    return [
        StoredResult(tenant=row.tenant, period=row.period, result=msgspec.json.decode(row.result, type=Result), at_ms=row.at_ms)
        for row in conn.execute(query)
    ]
