"""The list of numbers, accounts and trunks that no order may block."""

from __future__ import annotations

from typing import Literal

from books import Connection, lists
from core.numbers import number_of
from services import blocks
from services.errors import ServiceError, UnknownName

Kind = Literal["number", "account", "trunk"]


def change(conn: Connection, kind: Kind, typed: str, remove: bool, who: str, why: str, now_ms: int, tenant: str = "") -> str:
    """Adds a number, an account or a trunk to the list, or removes it; returns the value as stored (a number: its digits, read by the dial
    plan). `tenant` "" = those of every tenant. Orders that overlap it end at once. Raises `UnknownName` if a value to remove is not on
    the list, `ServiceError` for a malformed one."""
    try:
        value = number_of(typed, blocks.plan(conn)) if kind == "number" else typed
        if not remove:
            lists.add(conn, "protected", kind, value, why, who, now_ms, tenant)
        elif not lists.remove(conn, "protected", kind, value, why, who, now_ms, tenant):
            raise UnknownName(f"{kind} {value} is not on the list.")
    except ValueError as refused:
        raise ServiceError(str(refused)) from None
    return value
