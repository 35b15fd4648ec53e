"""Files that were picked up from carriers and switches: which, from where, when, and what was expected of them."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from books import tables
from books.upsert import put_once


class PickedFile(msgspec.Struct, frozen=True, kw_only=True):
    """`number`: that of its name, -1 = it has none. `path` "" = not kept, as its content was there. `every_ms` and `least_bytes`: what was expected
    of the source then, 0 = nothing."""

    tenant: str
    source: str
    name: str
    sha256: str
    size_bytes: int
    modified_ms: int
    number: int
    path: str
    every_ms: int
    least_bytes: int
    at_ms: int


def add(conn: sa.Connection, one: PickedFile) -> bool:
    """Adds a file. True = it is new."""
    return put_once(conn, tables.picked_files, msgspec.structs.asdict(one))


def every(conn: sa.Connection, tenant: str, source: str = "", since_ms: int = 0) -> list[PickedFile]:
    """Files in the order in which they came to their server."""
    t = tables.picked_files.c
    query = sa.select(tables.picked_files).where(t.tenant == tenant, t.modified_ms >= since_ms).order_by(t.source, t.modified_ms, t.name)
    return [PickedFile(**row._mapping) for row in conn.execute(query.where(t.source == source) if source else query)]
