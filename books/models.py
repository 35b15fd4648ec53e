"""The files of trained scorers, by the SHA-256 of their bytes: stored once, never changed. A config version's policy names the one in use."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from books import audit, tables
from books.upsert import put_once

_m = tables.models.c


class Stored(NamedTuple):
    sha256: str
    name: str
    content: bytes
    who: str
    why: str
    at_ms: int


def add(conn: sa.Connection, sha256: str, name: str, content: bytes, who: str, why: str, now_ms: int) -> bool:
    """Stores a file under its hash. False = it is there already."""
    row = {"sha256": sha256, "name": audit.clean(name), "content": content, "who": who, "why": audit.clean(why), "at_ms": now_ms}
    new = put_once(conn, tables.models, row)
    if new:
        audit.note(conn, who, "added a model", f"{name} {sha256}", why, now_ms)
    return new


def every(conn: sa.Connection) -> list[Stored]:
    """All of them, the newest first."""
    return [Stored(**row._asdict()) for row in conn.execute(sa.select(tables.models).order_by(_m.at_ms.desc(), _m.sha256))]


def contents(conn: sa.Connection) -> dict[str, bytes]:
    """The files by their hash."""
    return {sha256: bytes(content) for sha256, content in conn.execute(sa.select(_m.sha256, _m.content))}
