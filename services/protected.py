"""The list of what no order may touch."""

from __future__ import annotations

from typing import Literal

from books import Connection, lists
from core.numbers import number_of
from services import blocks
from services.errors import ServiceError, UnknownName

Kind = Literal["number", "account", "trunk"]


def change(conn: Connection, kind: Kind, typed: str, remove: bool, who: str, why: str, now_ms: int, tenant: str = "") -> str:
    """Puts a number, an account or a trunk on the list, or takes it off; the value as it is stored (a number: its digits, read by the dial
    plan). `tenant` "" = every tenant's of that name. Orders that touch it end at once. Raises `UnknownName` for what is not on the list,
    `ServiceError` for what is malformed."""
    try:
        value = number_of(typed, blocks.plan(conn)) if kind == "number" else typed
        if not remove:
            lists.add(conn, "protected", kind, value, why, who, now_ms, tenant)
        elif not lists.remove(conn, "protected", kind, value, why, who, now_ms, tenant):
            raise UnknownName(f"{kind} {value} is not on the list.")
    except ValueError as refused:
        raise ServiceError(str(refused)) from None
    return value
