"""Allow, deny and protected lists. They act at once, where orders are delivered.

protected  numbers, accounts and trunks that no order may block; their calls pass at the switch before any look-up
allow      an automatic order that affects an entry waits for a person
deny       a person has already approved that this entry is blocked: the limits do not apply to automatic orders that name it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa

from books import audit, tables
from books.emergency import countries, lifelines
from books.upsert import put, put_once
from core.config import path
from core.decide import Listed
from core.numbers import DialPlan, number_of
from core.safety import Protected

List = Literal["allow", "deny", "protected"]
Kind = Literal["number", "account", "trunk"]
LISTS, KINDS = ("allow", "deny", "protected"), ("number", "account", "trunk")


def add(conn: sa.Connection, list_: List, kind: Kind, value: str, why: str, who: str, now_ms: int, tenant: str = "") -> None:
    """Puts an entry on a list. `tenant` "" = every tenant's. A number is digits, as the switch sees it after the dial plan."""
    if list_ not in LISTS or kind not in KINDS:
        raise ValueError(f"there is no list {list_!r} of {kind!r}: lists are {', '.join(LISTS)}, kinds {', '.join(KINDS)}")
    if kind == "number":
        if not (value.isascii() and value.isdigit() and 1 < len(value) <= 15):
            raise ValueError(f"{value!r} is not a number of 2 to 15 digits")
        if (means := number_of(value, DialPlan())) != value:
            raise ValueError(f"{value!r} is dialled, and means {means}: list that")
    if list_ == "protected" and kind == "number" and tenant:
        raise ValueError("a protected number is protected for every tenant")
    if not value or not why:
        raise ValueError("an entry needs a value and a reason")
    if len(value) > 128:
        raise ValueError(f"{value[:40]!r}... is too long for a name: at most 128 characters")
    row = {"list": list_, "kind": kind, "tenant": tenant, "value": value, "why": why, "who": who, "at_ms": now_ms}
    put(conn, tables.lists, row)
    audit.note(conn, who, f"listed as {list_}", f"{kind} {value}" + (f" of {tenant}" if tenant else ""), why, now_ms)


def remove(conn: sa.Connection, list_: List, kind: Kind, value: str, why: str, who: str, now_ms: int, tenant: str = "") -> bool:
    """Removes an entry. False = it was not on the list."""
    t = tables.lists.c
    gone = conn.execute(
        sa.delete(tables.lists).where(t.list == list_, t.kind == kind, t.tenant == tenant, t.value == value)
    ).rowcount
    if gone:
        audit.note(conn, who, f"taken off {list_}", f"{kind} {value}", why, now_ms)
    return bool(gone)


def every(conn: sa.Connection, list_: str = "") -> list[Listed]:
    query = sa.select(tables.lists).order_by(tables.lists.c.list, tables.lists.c.kind, tables.lists.c.value)
    return [Listed(*row) for row in conn.execute(query.where(tables.lists.c.list == list_) if list_ else query)]


def seed_emergency(conn: sa.Connection, wanted: Sequence[str], now_ms: int) -> int:
    """Protects the emergency numbers and crisis lines of these countries ("*" = all). Returns how many are new; the reason that a person
    has written for a number stays."""
    new = 0
    for digits, why in lifelines(countries() if "*" in wanted else wanted).items():
        row = {"list": "protected", "kind": "number", "tenant": "", "value": digits, "why": why, "who": "seed", "at_ms": now_ms}
        new += put_once(conn, tables.lists, row)
    if new:
        audit.note(conn, "seed", "protected emergency numbers", ", ".join(wanted), f"{new} numbers", now_ms)
    return new


def protected(conn: sa.Connection) -> Protected:
    """The protected list, as the safety check reads it."""
    rows = every(conn, "protected")
    return Protected(
        numbers=tuple(row.value for row in rows if row.kind == "number"),
        accounts=frozenset(path(row.tenant, row.value) for row in rows if row.kind == "account"),
        trunks=frozenset(path(row.tenant, row.value) for row in rows if row.kind == "trunk"),
    )
