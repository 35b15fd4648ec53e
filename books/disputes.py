"""Disputes: what is asked back of whom, where it stands, and everything that happened to it (append only)."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from assurance.disputes.life import CLOSED
from books import audit, tables
from books.upsert import put_once
from core.money import to_nanos


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """One cause of one reconciliation. `amount` and `agreed` are decimal text ("" = nothing was agreed on yet)."""

    id: str
    tenant: str
    role: str
    party: str
    reconciliation: str
    cause: str
    state: str
    currency: str
    amount: str
    agreed: str
    credit_note: str
    calls: int
    due_ms: int
    at_ms: int

    @property
    def nanos(self) -> int:
        return to_nanos(self.amount)

    @property
    def is_open(self) -> bool:
        return self.state not in CLOSED


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a dispute."""

    event: str
    state: str  # after it
    amount: str
    who: str
    why: str
    at_ms: int


def add(conn: sa.Connection, one: Dispute, who: str) -> bool:
    """A new dispute, with its first event. False = it is there already."""
    if not put_once(conn, tables.disputes, msgspec.structs.asdict(one)):
        return False
    _note(conn, one, "detect", who, "")
    return True


def move(conn: sa.Connection, before: Dispute, after: Dispute, event: str, who: str, why: str) -> None:
    """A dispute in its next state. Raises `ValueError` where somebody else has moved it meanwhile."""
    t = tables.disputes
    values = {name: getattr(after, name) for name in ("state", "agreed", "credit_note", "due_ms")}
    done = conn.execute(sa.update(t).where(t.c.id == before.id, t.c.state == before.state).values(**values))
    if done.rowcount != 1:
        raise ValueError(f"{before.id} was changed by somebody else: look again")
    _note(conn, after, event, who, why)


def _note(conn: sa.Connection, one: Dispute, event: str, who: str, why: str) -> None:
    row = {"dispute": one.id, "event": event, "state": one.state, "amount": one.agreed or one.amount, "who": audit.clean(who),
        "why": audit.clean(why)}
    conn.execute(sa.insert(tables.dispute_events).values(**row, at_ms=one.at_ms))
    audit.note(conn, who, f"dispute: {event}", f"{one.tenant}/{one.id}", why, one.at_ms)


def find(conn: sa.Connection, tenant: str, name: str) -> Dispute | None:
    """A dispute by its id."""
    t = tables.disputes.c
    row = conn.execute(sa.select(tables.disputes).where(t.tenant == tenant, t.id == name)).first()
    return None if row is None else Dispute(**row._mapping)


def every(conn: sa.Connection, tenant: str, party: str = "") -> list[Dispute]:
    """The disputes of a tenant, the newest first."""
    t = tables.disputes.c
    query = sa.select(tables.disputes).where(t.tenant == tenant).order_by(t.at_ms.desc(), t.id)
    return [Dispute(**row._mapping) for row in conn.execute(query.where(t.party == party) if party else query)]


def history(conn: sa.Connection, name: str) -> list[Event]:
    """What happened to a dispute, in order."""
    t = tables.dispute_events.c
    columns = (t.event, t.state, t.amount, t.who, t.why, t.at_ms)
    return [Event(**row._mapping) for row in conn.execute(sa.select(*columns).where(t.dispute == name).order_by(t.id))]
