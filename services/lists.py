"""The allow, deny and protected lists, as people change them. They act at once, where orders are delivered."""

from __future__ import annotations

from typing import Literal

from books import Connection, lists
from core.decide import Listed
from core.numbers import number_of
from services import blocks, protected
from services.errors import ServiceError, UnknownName

List = Literal["allow", "deny", "protected"]
Kind = Literal["number", "account", "trunk"]


def change(conn: Connection, list_: List, kind: Kind, typed: str, remove: bool, who: str, why: str, now_ms: int, tenant: str = "") -> str:
    """Puts an entry on a list or takes it off; returns the value as stored. `tenant` "" = of every tenant. Raises `ServiceError`."""
    if not why.strip():
        raise ServiceError("Enter a reason: it is recorded in the audit log.")
    if list_ == "protected":
        return protected.change(conn, kind, typed, remove, who, why, now_ms, "" if kind == "number" else tenant)
    try:
        value = number_of(typed, blocks.plan(conn)) if kind == "number" else typed
        if not remove:
            lists.add(conn, list_, kind, value, why, who, now_ms, tenant)
        elif not lists.remove(conn, list_, kind, value, why, who, now_ms, tenant):
            raise UnknownName(f"{kind} {value} is not on the list.")
    except ValueError as wrong:
        raise ServiceError(str(wrong)) from None
    return value


def every(conn: Connection, tenant: str) -> list[Listed]:
    """The entries that hold for a tenant ("" = all entries)."""
    return [one for one in lists.every(conn) if not tenant or one.tenant in ("", tenant)]
