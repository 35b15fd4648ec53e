"""Tenants: whose calls are judged. Their accounts, decks and trunks are in the config version in force (`books.configs`)."""

from __future__ import annotations

import sqlalchemy as sa

from books import tables
from books.upsert import put_once


def add(conn: sa.Connection, name: str, now_ms: int) -> None:
    """Adds a tenant, where it is not there yet. Its name is part of every block's entry at a switch: letters, digits, `.`, `_`, `-` only."""
    if not is_name(name):
        raise ValueError(f"{name!r} is no tenant's name: letters, digits, . _ -, at most 64")
    put_once(conn, tables.tenants, {"name": name, "at_ms": now_ms})


def is_name(name: str) -> bool:
    """Whether a text can be a tenant's name.

    >>> is_name("acme-tel"), is_name("acme|tel"), is_name("")
    (True, False, False)
    """
    return 0 < len(name) <= 64 and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)


def every(conn: sa.Connection) -> list[str]:
    """The names of all tenants, in order."""
    return list(conn.execute(sa.select(tables.tenants.c.name).order_by(tables.tenants.c.name)).scalars())
