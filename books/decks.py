"""Deck versions: the CSV as it came, under a hash of what it is. A version never changes; a new price list is a new version."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from books import tables
from books.upsert import put_once


def add(conn: sa.Connection, name: str, csv: bytes, currency: str, who: str, now_ms: int) -> str:
    """Keeps a version and returns its id (SHA-256, hex). The same deck again is the same version."""
    deck_id = version_id(name, csv, currency)
    row = {"id": deck_id, "name": name, "currency": currency, "content": csv, "who": who, "at_ms": now_ms}
    put_once(conn, tables.deck_versions, row)
    return deck_id


def version_id(name: str, csv: bytes, currency: str) -> str:
    """The id that a deck has in the books, whether or not it is there."""
    digest = hashlib.sha256()
    for part in (name.encode(), currency.encode(), csv):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def content(conn: sa.Connection, version_id: str) -> tuple[str, str, bytes]:
    """(name, currency, CSV) of a version."""
    t = tables.deck_versions.c
    row = conn.execute(sa.select(t.name, t.currency, t.content).where(t.id == version_id)).first()
    if row is None:
        raise KeyError(f"the books have no deck version {version_id}")
    return row.name, row.currency, bytes(row.content)


def find(conn: sa.Connection, version_id: str) -> bytes | None:
    """The CSV of a version, if the books have it."""
    found = conn.execute(sa.select(tables.deck_versions.c.content).where(tables.deck_versions.c.id == version_id)).scalar()
    return None if found is None else bytes(found)


def latest(conn: sa.Connection) -> dict[str, str]:
    """Deck name -> the id of its newest version: what the next config version would name."""
    t = tables.deck_versions.c
    return {row.name: row.id for row in conn.execute(sa.select(t.name, t.id).order_by(t.at_ms, t.id))}
