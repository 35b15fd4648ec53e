"""Alerts: one row per finding. A later message about the same finding replaces the earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from books import tables
from books.audit import clean
from books.upsert import put
from core.facts import Facts
from core.orders import Finding, Key

FACTS_CHARACTERS = 8_000
"""Findings of the detectors have under a thousand; a message may come from anybody."""
INT64_MAX = 2**63 - 1
NAME_CHARACTERS = 128
"""Limit of an indexed column: PostgreSQL refuses an index entry longer than 2,700 bytes."""


def upsert(conn: sa.Connection, finding: Finding, now_ms: int) -> None:
    """Stores the finding as it is now; `opened_ms`, when it first came, stays."""
    row: dict[str, Any] = {}
    for name in finding.__struct_fields__:
        value = getattr(finding, name)
        row[name] = clean(value) if isinstance(value, str) else _within(value) if isinstance(value, int) else value
    row["tenant"] = clean(finding.tenant, NAME_CHARACTERS)
    row["example_call_ids"] = msgspec.json.encode([clean(i) for i in finding.example_call_ids[:100]]).decode()
    row["key"] = clean(msgspec.json.encode(finding.key).decode()) if finding.key else ""
    facts = msgspec.json.encode(finding.facts).decode() if finding.facts else ""
    row["facts"] = facts if len(facts) <= FACTS_CHARACTERS else ""  # cut it would be no JSON; the reason has the same facts as text
    row |= {"opened_ms": now_ms, "updated_ms": now_ms}
    put(conn, tables.alerts, row, keep=("opened_ms",))


def last(conn: sa.Connection, count: int = 100, tenant: str = "") -> list[Finding]:
    """The newest alerts, newest first."""
    t = tables.alerts.c
    query = sa.select(tables.alerts).order_by(t.last_ms.desc(), t.finding_id).limit(count)
    return [_finding(row) for row in conn.execute(query.where(t.tenant == tenant) if tenant else query)]


def about(conn: sa.Connection, tenant: str, kinds: Sequence[str], since_ms: int) -> list[Finding]:
    """Alerts about subjects of some kinds whose last record is not older, the oldest first."""
    t = tables.alerts.c
    query = sa.select(tables.alerts).where(t.tenant == tenant, t.subject_kind.in_(kinds), t.last_ms >= since_ms).order_by(t.last_ms, t.finding_id)
    return [_finding(row) for row in conn.execute(query)]


def opened_since(conn: sa.Connection, since_ms: int, most: int = 1_000) -> list[tuple[Finding, int]]:
    """Alerts that came into the books since then, each with when it did, the newest first."""
    t = tables.alerts.c
    query = sa.select(tables.alerts).where(t.opened_ms >= since_ms).order_by(t.opened_ms.desc(), t.finding_id).limit(most)
    return [(_finding(row), row.opened_ms) for row in conn.execute(query)]


def find(conn: sa.Connection, finding_id: str) -> Finding | None:
    row = conn.execute(sa.select(tables.alerts).where(tables.alerts.c.finding_id == finding_id)).first()
    return _finding(row) if row else None


def count(conn: sa.Connection, tenant: str = "") -> int:
    query = sa.select(sa.func.count()).select_from(tables.alerts)
    return int(conn.execute(query.where(tables.alerts.c.tenant == tenant) if tenant else query).scalar() or 0)


def exposures(conn: sa.Connection, tenant: str, from_ms: int, to_ms: int) -> list[tuple[str, str, int, int, str]]:
    """Subject, detector, alerts, their exposure in nanos and its currency, of alerts that were found in a stretch of time."""
    t = tables.alerts.c
    rows = conn.execute(
        sa.select(t.subject_kind, t.subject, t.detector, t.exposure_nanos, t.currency)
        .where(t.tenant == tenant, t.detected_at_ms >= from_ms, t.detected_at_ms < to_ms)
        .order_by(t.subject, t.detector)
    )
    found: dict[tuple[str, str, str], tuple[int, int]] = {}
    for kind, subject, detector, nanos, currency in rows:
        count, total = found.get((f"{kind} {subject}", detector, currency), (0, 0))
        found[f"{kind} {subject}", detector, currency] = count + 1, _within(total + nanos)
    return [(subject, detector, *sums, currency) for (subject, detector, currency), sums in found.items()]


def _finding(row: sa.Row[Any]) -> Finding:
    values = row._asdict()
    values["example_call_ids"] = msgspec.json.decode(values["example_call_ids"], type=list[str])
    values["key"] = msgspec.json.decode(values["key"], type=Key) if values["key"] else None
    values["facts"] = msgspec.json.decode(values["facts"], type=Facts) if values["facts"] else None
    return Finding(**{name: values[name] for name in Finding.__struct_fields__})


def _within(value: int) -> int:
    return max(-INT64_MAX, min(INT64_MAX, value))
