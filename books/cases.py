"""Cases: alerts that belong together, and everything that people did and noted about them (append only)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from books import audit, tables
from books.upsert import put_once

MAX_TITLE = 120


class Case(NamedTuple):
    """`state`: open or closed."""

    id: str
    tenant: str
    title: str
    state: str
    who: str
    at_ms: int


class Event(NamedTuple):
    """`event`: opened, alert, taken out, note, closed, reopened."""

    event: str
    text: str
    who: str
    at_ms: int


def add(conn: sa.Connection, one: Case) -> bool:
    """A new case; False = it is there already."""
    row = one._asdict() | {"title": audit.clean(one.title, MAX_TITLE), "who": audit.clean(one.who)}
    if not put_once(conn, tables.cases, row):
        return False
    note(conn, one, "opened", one.title, one.who, one.at_ms)
    return True


def put(conn: sa.Connection, one: Case, finding_id: str, who: str, now_ms: int) -> str:
    """Puts an alert into a case, unless it is in one; returns the case that it is in."""
    if put_once(conn, tables.case_alerts, {"finding_id": finding_id, "case_id": one.id}):
        note(conn, one, "alert", finding_id, who, now_ms)
    return of_alerts(conn, [finding_id])[finding_id]


def take_out(conn: sa.Connection, one: Case, finding_id: str, who: str, now_ms: int) -> bool:
    """Takes an alert out of a case; False = it is not in it."""
    t = tables.case_alerts.c
    gone = bool(conn.execute(sa.delete(tables.case_alerts).where(t.finding_id == finding_id, t.case_id == one.id)).rowcount)
    if gone:
        note(conn, one, "taken out", finding_id, who, now_ms)
    return gone


def set_state(conn: sa.Connection, one: Case, state: str, why: str, who: str, now_ms: int) -> bool:
    """Closes or reopens a case; False = it was so already."""
    t = tables.cases
    done = conn.execute(sa.update(t).where(t.c.id == one.id, t.c.state != state).values(state=state)).rowcount
    if done:
        note(conn, one, "closed" if state == "closed" else "reopened", why, who, now_ms)
    return bool(done)


def note(conn: sa.Connection, one: Case, event: str, text: str, who: str, now_ms: int) -> None:
    """Adds a line to the case, and to the audit log."""
    row = {"case_id": one.id, "event": event, "text": audit.clean(text), "who": audit.clean(who), "at_ms": now_ms}
    conn.execute(sa.insert(tables.case_events).values(**row))
    audit.note(conn, who, f"case: {event}", f"{one.tenant}/{one.id}", text, now_ms)


def find(conn: sa.Connection, tenant: str, name: str) -> Case | None:
    """A case by its id; `tenant` "" = of any."""
    query = sa.select(tables.cases).where(tables.cases.c.id == name)
    row = conn.execute(query.where(tables.cases.c.tenant == tenant) if tenant else query).first()
    return None if row is None else Case(*row)


def every(conn: sa.Connection, tenant: str, most: int = 200) -> list[Case]:
    """The cases of a tenant, or of all (""): the open ones first, then the newest."""
    t = tables.cases.c
    query = sa.select(tables.cases).order_by(t.state.desc(), t.at_ms.desc(), t.id).limit(most)
    return [Case(*row) for row in conn.execute(query.where(t.tenant == tenant) if tenant else query)]


def alerts_of(conn: sa.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """Case -> its alerts."""
    t = tables.case_alerts.c
    found: dict[str, list[str]] = {}
    for case_id, finding_id in conn.execute(sa.select(t.case_id, t.finding_id).where(t.case_id.in_(ids)).order_by(t.finding_id)):
        found.setdefault(case_id, []).append(finding_id)
    return found


def of_alerts(conn: sa.Connection, finding_ids: Sequence[str]) -> dict[str, str]:
    """Alert -> the case that it is in."""
    t = tables.case_alerts.c
    rows = conn.execute(sa.select(t.finding_id, t.case_id).where(t.finding_id.in_(finding_ids)))
    return {row.finding_id: row.case_id for row in rows}


def history(conn: sa.Connection, name: str) -> list[Event]:
    """What happened to a case, in order."""
    t = tables.case_events.c
    return [Event(*row) for row in conn.execute(sa.select(t.event, t.text, t.who, t.at_ms).where(t.case_id == name).order_by(t.id))]
