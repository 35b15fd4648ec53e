"""The audit log: who did what, and why. Append only: the table itself refuses a change, and each line's hash covers the line before, so that
whoever goes around the table is found by `broken`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from books import tables
from books.upsert import put

MAX_TEXT = 2_000
"""Characters of one audited text. A longer message is quoted up to there."""


CHAIN = 0x52464E44
"""PostgreSQL's advisory lock of whoever adds a line. Take it last in a transaction of the ledger."""


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
    if conn.dialect.name == "postgresql":  # where the ledger has several writers, the chain still has one end
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CHAIN})")
    row = {"at_ms": now_ms, "who": clean(who), "verb": clean(verb), "subject": clean(subject), "why": clean(why)}
    t = tables.audit.c
    row["previous"] = conn.execute(sa.select(t.sha256).order_by(t.id.desc()).limit(1)).scalar() or ""
    conn.execute(sa.insert(tables.audit).values(**row, sha256=_hash(row)))


def _hash(row: dict[str, object]) -> str:
    """SHA-256 over a line's fields and the hash of the line before, each with its length."""
    fields = (str(row[name]).encode() for name in ("previous", "at_ms", "who", "verb", "subject", "why"))
    return hashlib.sha256(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).hexdigest()


class Broken(NamedTuple):
    """A line of the audit log that is not as it was written, or that does not follow the line before it."""

    line: int
    fault: str


def broken(conn: sa.Connection) -> Iterator[Broken]:
    """The faults of the chain, from its first line on; none = nobody has changed, added or removed a line but at the end. The first line may follow
    lines that retention removed: a later line says so, with the hash of the last one removed."""
    t = tables.audit.c
    previous: str | None = None
    anchors: set[str] = {""}
    first: tuple[int, str] | None = None
    for row in conn.execute(sa.select(tables.audit).order_by(t.id)).mappings():
        first = first or (row["id"], row["previous"])
        if row["verb"] == "removed" and row["subject"] == "audit":
            anchors.add(str(row["why"]).rpartition(" ")[2])
        if _hash(dict(row)) != row["sha256"]:
            yield Broken(row["id"], "was changed: its hash is not that of its text")
        if previous is not None and row["previous"] != previous:
            yield Broken(row["id"], "does not follow the line before it: a line was removed, added or changed there")
        previous = row["sha256"]
    if first and first[1] not in anchors:
        yield Broken(first[0], "is not the first line: lines before it were removed, and no line says so")


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
