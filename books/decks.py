"""Deck versions: the CSV as it came, under a hash of what it is. A version never changes; a new price list is a new version."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from books import tables
from books.upsert import put_once


def add(conn: sa.Connection, name: str, csv: bytes, currency: str, who: str, now_ms: int) -> str:
    """Keeps a version and returns its id (SHA-256, hex). The same deck again is the same version."""
    digest = hashlib.sha256()
    for part in (name.encode(), currency.encode(), csv):
        digest.update(len(part).to_bytes(8, "big") + part)
    row = {"id": digest.hexdigest(), "name": name, "currency": currency, "content": csv, "who": who, "at_ms": now_ms}
    put_once(conn, tables.deck_versions, row)
    return digest.hexdigest()


def content(conn: sa.Connection, version_id: str) -> tuple[str, str, bytes]:
    """(name, currency, CSV) of a version."""
    t = tables.deck_versions.c
    row = conn.execute(sa.select(t.name, t.currency, t.content).where(t.id == version_id)).first()
    if row is None:
        raise KeyError(f"the books have no deck version {version_id}")
    return row.name, row.currency, bytes(row.content)


def latest(conn: sa.Connection) -> dict[str, str]:
    """Deck name -> the id of its newest version: what the next config version would name."""
    t = tables.deck_versions.c
    return {row.name: row.id for row in conn.execute(sa.select(t.name, t.id).order_by(t.at_ms, t.id))}
