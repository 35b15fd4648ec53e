"""Where notifications go, and what was sent: a row per message. A message has one id for good, whoever sends it how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from books import audit, tables
from books.upsert import put, put_once
from core.notify import Notice, SentAt, Target

_n, _t = tables.notices.c, tables.notify_targets.c


class Sent(NamedTuple):
    """A message and what became of it: due | sending | sent | failed | obsolete (handled before it was sent, or beyond the limit of an hour)."""

    notice: Notice
    state: str
    attempts: int
    error: str
    changed_ms: int


def add_target(conn: sa.Connection, target: Target, why: str) -> None:
    """Adds a target, or changes it. The audit log has its address without what follows the host, which may be a secret."""
    put(conn, tables.notify_targets, target._asdict())
    shown = target.address if target.kind == "email" else "/".join(target.address.split("/")[:3])
    audit.note(conn, target.who, "notifies", f"{target.name}: {target.kind} {shown}", why, target.at_ms)


def remove_target(conn: sa.Connection, name: str, who: str, why: str, now_ms: int) -> bool:
    """Removes a target, and what it has not been sent. False = there was none."""
    gone = bool(conn.execute(sa.delete(tables.notify_targets).where(_t.name == name)).rowcount)
    if gone:
        conn.execute(sa.update(tables.notices).where(_n.target == name, _n.state.in_(OPEN)).values(state="obsolete", changed_ms=now_ms))
        audit.note(conn, who, "notifies no more", name, why, now_ms)
    return gone


OPEN = ("due", "sending")


def targets(conn: sa.Connection) -> list[Target]:
    """All targets, by name."""
    return [Target(*row) for row in conn.execute(sa.select(*(_t[name] for name in Target._fields)).order_by(_t.name))]


def put_notices(conn: sa.Connection, notices: Sequence[Notice], now_ms: int, state: str = "due", error: str = "") -> int:
    """Stores new notices; those that are known stay as they are. Returns how many are new."""
    blank = {"state": state, "attempts": 0, "error": error, "changed_ms": now_ms}
    return sum(put_once(conn, tables.notices, one._asdict() | blank) for one in notices)


def known(conn: sa.Connection, since_ms: int) -> set[str]:
    """Ids of the notices about events since then."""
    return set(conn.execute(sa.select(_n.id).where(_n.event_ms >= since_ms)).scalars())


def sent_since(conn: sa.Connection, since_ms: int, now_ms: int) -> list[SentAt]:
    """The messages of since then, and those that wait: one that is due, or whose sending was cut off, is sent now."""
    at_ms = sa.case((_n.state.in_(OPEN), sa.case((_n.next_ms < now_ms, now_ms), else_=_n.next_ms)), else_=_n.changed_ms)
    done = sa.and_(_n.state.in_(("sent", "failed")), _n.changed_ms >= since_ms)
    return [SentAt(*row) for row in conn.execute(sa.select(_n.target, _n.severity, at_ms).where(sa.or_(_n.state.in_(OPEN), done)))]


def due(conn: sa.Connection, now_ms: int, most: int = 100) -> list[Sent]:
    """Messages that are to be sent now, the most urgent first; among them those whose sending was cut off."""
    query = sa.select(tables.notices).where(_n.state.in_(OPEN), _n.next_ms <= now_ms)
    return [_sent(row) for row in conn.execute(query.order_by(_n.severity.desc(), _n.next_ms, _n.id).limit(most))]


def mark(conn: sa.Connection, notice_id: str, state: str, now_ms: int, **more: Any) -> None:
    """Stores what became of a message: `attempts`, `error`, `next_ms`."""
    conn.execute(sa.update(tables.notices).where(_n.id == notice_id).values(state=state, changed_ms=now_ms, **more))


def last(conn: sa.Connection, most: int = 50) -> list[Sent]:
    """The newest messages, newest first."""
    return [_sent(row) for row in conn.execute(sa.select(tables.notices).order_by(_n.changed_ms.desc(), _n.id).limit(most))]


def _sent(row: sa.Row[Any]) -> Sent:
    values = row._asdict()
    return Sent(Notice(**{name: values[name] for name in Notice._fields}), row.state, row.attempts, row.error, row.changed_ms)
