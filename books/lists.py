"""Allow, deny and protected lists. They act at once, where orders are delivered.

protected  numbers, accounts and trunks that no order may block; their calls pass at the switch before any look-up
allow      its calls pass at the switch, whatever blocks say; an automatic order that affects it waits for a person
deny       its calls are refused at the switch; a person has approved that already, so the limits do not apply to automatic orders that name it.
           A carrier that is denied gets no calls: its gateways are left out of every route
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import sqlalchemy as sa

from books import audit, tables
from books.emergency import countries, lifelines
from books.upsert import put, put_once
from core.config import path
from core.decide import Listed
from core.numbering import prefixes_of
from core.numbers import DialPlan, number_of
from core.safety import Protected, is_table_name

List = Literal["allow", "deny", "protected"]
Kind = Literal["number", "caller", "destination", "account", "trunk", "carrier"]
LISTS, KINDS = get_args(List), get_args(Kind)
"""number: called numbers that begin so; caller: one calling number; destination: an ISO country."""


def add(
    conn: sa.Connection, list_: List, kind: Kind, value: str, why: str, who: str, now_ms: int, tenant: str = "", account: str = "", until_ms: int = 0
) -> None:
    """Puts an entry on a list, or changes it. `tenant` "" = every tenant's; `account`: only that account's calls; `until_ms`: when it ends. A number
    is digits, as the switch sees it after the dial plan."""
    if list_ not in LISTS or kind not in KINDS:
        raise ValueError(f"there is no list {list_!r} of {kind!r}: lists are {', '.join(LISTS)}, kinds {', '.join(KINDS)}")
    if list_ == "protected" and (kind not in ("number", "account", "trunk") or account or until_ms):
        raise ValueError("numbers, accounts and trunks are protected, for all calls and without an end")
    if kind == "carrier" and (list_ != "deny" or account):
        raise ValueError("a carrier can be denied, for all calls of a tenant")
    if kind in ("account", "trunk") and account:
        raise ValueError("an entry of an account or trunk is about all its calls: give a number, a caller or a destination of it")
    if kind == "destination" and not prefixes_of(value):
        raise ValueError(f"{value!r} is no country with calling codes of its own (ISO 3166, as LV): list its ranges")
    if kind != "number" and kind != "caller" and kind != "destination" and not is_table_name(value):
        raise ValueError(f"{value[:70]!r} is not a name (letters, digits, . _ - @ +, at most 64)")
    if account and not is_table_name(account):
        raise ValueError(f"{account[:70]!r} is not a name (letters, digits, . _ - @ +, at most 64)")
    if until_ms and until_ms <= now_ms:
        raise ValueError("the entry would have ended already")
    if kind in ("number", "caller"):
        if not (value.isascii() and value.isdigit() and 1 < len(value) <= 15):
            raise ValueError(f"{value!r} is not a number of 2 to 15 digits")
        if list_ == "protected" and (means := number_of(value, DialPlan())) != value:
            raise ValueError(f"{value!r} is dialled, and means {means}: list that")
    if list_ == "protected" and kind == "number" and tenant:
        raise ValueError("a protected number is protected for every tenant")
    if not value or not why:
        raise ValueError("an entry needs a value and a reason")
    if len(value) > 128:
        raise ValueError(f"{value[:40]!r}... is too long for a name: at most 128 characters")
    if list_ == "deny" and (bad := _endangers(conn, kind, value, tenant)):
        raise ValueError(bad)
    row = {"list": list_, "kind": kind, "tenant": tenant, "value": value, "why": why, "who": who, "at_ms": now_ms}
    put(conn, tables.lists, row | {"account": account, "until_ms": until_ms})
    audit.note(conn, who, f"listed as {list_}", _shown(kind, value, tenant, account), why, now_ms)


def _shown(kind: str, value: str, tenant: str, account: str) -> str:
    return f"{kind} {value}" + (f" of {path(tenant, account)}" if tenant or account else "")


def _endangers(conn: sa.Connection, kind: str, value: str, tenant: str) -> str:
    """Why an entry of the deny list must not be, or "": the protected pass at the switch before it, but who enters it should know."""
    known = protected(conn)
    if kind in ("number", "caller") and (hit := known.meets(value)):
        return f"{value} overlaps the protected number {hit}"
    if kind == "account" and not known.accounts.isdisjoint({value, path(tenant, value)}):
        return f"account {value} is protected"
    if kind == "trunk" and not known.trunks.isdisjoint({value, path(tenant, value)}):
        return f"trunk {value} is protected"
    return ""


def remove(
    conn: sa.Connection, list_: List, kind: Kind, value: str, why: str, who: str, now_ms: int, tenant: str = "", account: str = ""
) -> bool:
    """Removes an entry. False = it was not on the list."""
    t = tables.lists.c
    gone = conn.execute(
        sa.delete(tables.lists).where(t.list == list_, t.kind == kind, t.tenant == tenant, t.value == value, t.account == account)
    ).rowcount
    if gone:
        audit.note(conn, who, f"taken off {list_}", _shown(kind, value, tenant, account), why, now_ms)
    return bool(gone)


def every(conn: sa.Connection, list_: str = "") -> list[Listed]:
    query = sa.select(tables.lists).order_by(tables.lists.c.list, tables.lists.c.kind, tables.lists.c.value)
    return [Listed(*row) for row in conn.execute(query.where(tables.lists.c.list == list_) if list_ else query)]


def expire(conn: sa.Connection, now_ms: int) -> int:
    """Removes entries that have ended, with a line in the audit log. Returns how many."""
    t = tables.lists.c
    over = sa.and_(t.until_ms > 0, t.until_ms <= now_ms)
    gone = [Listed(*row) for row in conn.execute(sa.select(tables.lists).where(over))]
    for row in gone:
        audit.note(conn, "lists", f"ended on {row.list}", _shown(row.kind, row.value, row.tenant, row.account), row.why, now_ms)
    if gone:
        conn.execute(sa.delete(tables.lists).where(over))
    return len(gone)


def seed_emergency(conn: sa.Connection, wanted: Sequence[str], now_ms: int) -> int:
    """Protects the emergency numbers and crisis lines of these countries ("*" = all). Returns how many are new; the reason that a person
    has written for a number stays."""
    new = 0
    for digits, why in lifelines(countries() if "*" in wanted else wanted).items():
        row = {"list": "protected", "kind": "number", "tenant": "", "value": digits, "why": why, "who": "seed", "at_ms": now_ms, "account": ""}
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
