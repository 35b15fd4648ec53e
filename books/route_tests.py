"""Test calls: one row each; the same test call again, with another result, replaces its row."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from books import tables
from books.upsert import put_all
from core.route_tests import RouteTest

_t = tables.route_tests.c
_BATCH = 500


def store(conn: sa.Connection, tests: Sequence[RouteTest]) -> int:
    """Stores test calls, and returns how many of them are new or have another result than before."""
    new = 0
    for start in range(0, len(tests), _BATCH):
        some = list({(one.tenant, one.test_id): one for one in tests[start : start + _BATCH]}.values())
        known = {row.test_id: row for row in _rows(conn, some)}
        changed = [one for one in some if one != known.get(one.test_id)]
        put_all(conn, tables.route_tests, [one._asdict() for one in changed])
        new += len(changed)
    return new


def since(conn: sa.Connection, tenant: str, from_ms: int) -> list[RouteTest]:
    """A tenant's test calls that were placed from then on, in their order."""
    query = sa.select(tables.route_tests).where(_t.tenant == tenant, _t.at_ms >= from_ms).order_by(_t.at_ms, _t.test_id)
    return [RouteTest(**row._asdict()) for row in conn.execute(query)]


def newest_ms(conn: sa.Connection, tenant: str) -> int:
    """When the newest of a tenant's test calls was placed; 0 = there is none."""
    return int(conn.execute(sa.select(sa.func.max(_t.at_ms)).where(_t.tenant == tenant)).scalar() or 0)


def _rows(conn: sa.Connection, tests: Sequence[RouteTest]) -> list[RouteTest]:
    query = sa.select(tables.route_tests).where(_t.tenant == tests[0].tenant, _t.test_id.in_([one.test_id for one in tests]))
    return [RouteTest(**row._asdict()) for row in conn.execute(query)]
