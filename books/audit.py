"""The audit log: who did what, and why. Append only: the table itself refuses a change."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from books import tables
from books.upsert import put

MAX_TEXT = 2_000
"""Characters of one audited text. A longer message is quoted up to there."""


class Entry(NamedTuple):
    at_ms: int
    who: str
    verb: str
    subject: str
    why: str


def clean(text: str, most: int = MAX_TEXT) -> str:
    r"""Text that every database takes: no NUL, no half of a surrogate pair, not longer than `most`.

    >>> clean("a\x00b\ud800", 3)
    'a�b'
    """
    return text[:most].encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def note(conn: sa.Connection, who: str, verb: str, subject: str, why: str, now_ms: int) -> None:
    """Adds a line to the audit log, in the transaction of the change that it records."""
    row = {"at_ms": now_ms, "who": clean(who), "verb": clean(verb), "subject": clean(subject), "why": clean(why)}
    conn.execute(sa.insert(tables.audit).values(**row))


def last(conn: sa.Connection, count: int = 100, verb: str = "") -> list[Entry]:
    """The newest lines, newest first."""
    t = tables.audit.c
    query = sa.select(t.at_ms, t.who, t.verb, t.subject, t.why).order_by(t.id.desc()).limit(count)
    return [Entry(*row) for row in conn.execute(query.where(t.verb == verb) if verb else query)]


def count_up(conn: sa.Connection, name: str, by: int = 1) -> None:
    """Adds to a named counter of things that have no table of their own."""
    put(conn, tables.counters, {"name": name, "value": counted(conn, name) + by})


def counted(conn: sa.Connection, name: str) -> int:
    return int(conn.execute(sa.select(tables.counters.c.value).where(tables.counters.c.name == name)).scalar() or 0)


def counts(conn: sa.Connection) -> dict[str, int]:
    return {name: int(value) for name, value in conn.execute(sa.select(tables.counters.c.name, tables.counters.c.value))}
