"""Deck versions: the normalized CSV under the hash of its content. A version never changes; a new price list is a new version.

The name of a deck belongs to the config of a tenant: two tenants with the same price list share its version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa

from books import tables
from books.upsert import put_once


class DeckVersion(NamedTuple):
    """A stored price list."""

    currency: str
    csv: bytes


def add(conn: sa.Connection, csv: bytes, currency: str, who: str, now_ms: int) -> str:
    """Stores a version and returns its id (SHA-256, hex). The same price list again is the same version."""
    deck_id = version_id(csv, currency)
    put_once(conn, tables.deck_versions, {"id": deck_id, "currency": currency, "content": csv, "who": who, "at_ms": now_ms})
    return deck_id


def version_id(csv: bytes, currency: str) -> str:
    """The id of a deck, whether or not it is stored."""
    return hashlib.sha256(currency.encode() + b"\n" + csv).hexdigest()


def find(conn: sa.Connection, deck_id: str) -> DeckVersion | None:
    """A version; None where the books do not have it."""
    t = tables.deck_versions.c
    row = conn.execute(sa.select(t.currency, t.content).where(t.id == deck_id)).first()
    return None if row is None else DeckVersion(row.currency, bytes(row.content))


def content(conn: sa.Connection, deck_id: str) -> DeckVersion:
    """A version; `KeyError` where the books do not have it."""
    found = find(conn, deck_id)
    if found is None:
        raise KeyError(f"the books have no deck version {deck_id}")
    return found


def currencies(conn: sa.Connection, deck_ids: Iterable[str]) -> dict[str, str]:
    """The currency of each deck version, by its id."""
    t = tables.deck_versions.c
    return {row.id: row.currency for row in conn.execute(sa.select(t.id, t.currency).where(t.id.in_(list(deck_ids))))}
