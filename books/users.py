"""People who sign in to the pages: a password as its argon2 hash, and roles per tenant. Every change is in the audit log.

A session began at some time; one that began before `sessions_from_ms` (a new password, a disabled user) is over.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from books import audit, tables, tenants
from books.upsert import put_once
from core.roles import ROLES

MIN_PASSWORD, MAX_PASSWORD = 12, 1_000
"""Characters. Shorter ones are guessed; longer ones cost time to hash."""
MAX_NAME = 64

_hasher = PasswordHasher()


@lru_cache(1)
def _nobody() -> str:
    """Verified for an unknown name, so that an answer takes as long as for a known one."""
    return _hasher.hash("nobody has this password")


class User(NamedTuple):
    name: str
    roles: tuple[tuple[str, str], ...]  # (tenant, "" = every tenant; role)
    at_ms: int
    sessions_from_ms: int
    disabled_at_ms: int | None
    parties: tuple[tuple[str, str], ...] = ()  # (tenant, party): customers whose portal the user opens


def fault_of_name(name: str) -> str:
    """What is wrong with a name, or "". It is stored in the audit log and shown beside every action.

    >>> fault_of_name("anna.huber@example.net"), fault_of_name("anna huber")
    ('', "'anna huber' is no user name: letters, digits and . _ - + @, at most 64")
    """
    if 0 < len(name) <= MAX_NAME and all(c.isascii() and (c.isalnum() or c in "._-+@") for c in name):
        return ""
    return f"{name[:80]!r} is no user name: letters, digits and . _ - + @, at most {MAX_NAME}"


def add(conn: sa.Connection, name: str, password: str, who: str, why: str, now_ms: int) -> None:
    """Adds a user without a role. `password` "" = one who signs in elsewhere (OIDC). A `ValueError` names the fault."""
    if wrong := fault_of_name(name):
        raise ValueError(wrong)
    row = {"name": name, "password_hash": _hashed(password) if password else "", "at_ms": now_ms, "sessions_from_ms": now_ms}
    if not put_once(conn, tables.users, row):
        raise ValueError(f"there is a user {name} already")
    audit.note(conn, who, "added a user", name, why, now_ms)


def set_password(conn: sa.Connection, name: str, password: str, who: str, why: str, now_ms: int) -> None:
    """Replaces the password, and ends the user's sessions. A `ValueError` names the fault."""
    _change(conn, name, password_hash=_hashed(password), sessions_from_ms=now_ms)
    audit.note(conn, who, "set a password", name, why, now_ms)


def set_disabled(conn: sa.Connection, name: str, disabled: bool, who: str, why: str, now_ms: int) -> None:
    """Ends the user's sessions and lets nobody sign in under the name; or lets them again. A `ValueError` names the fault."""
    _change(conn, name, disabled_at_ms=now_ms if disabled else None, sessions_from_ms=now_ms)
    audit.note(conn, who, "disabled a user" if disabled else "enabled a user", name, why, now_ms)


def set_role(conn: sa.Connection, name: str, tenant: str, role: str, on: bool, who: str, why: str, now_ms: int) -> bool:
    """Gives or takes a role for a tenant ("" = every tenant). False = it was so already. A `ValueError` names the fault."""
    if role not in ROLES:
        raise ValueError(f"there is no role {role!r}: the roles are {', '.join(ROLES)}")
    if tenant and tenant not in tenants.every(conn):
        raise ValueError(f"there is no tenant {tenant!r}")
    if find(conn, name) is None:
        raise ValueError(f"there is no user {name!r}")
    changed = _set(conn, tables.user_roles, {"name": name, "tenant": tenant, "role": role}, on)
    if changed:
        what = f"{name}: {role} for {tenant or 'every tenant'}"
        audit.note(conn, who, "gave a role" if on else "took a role", what, why, now_ms)
    return changed


def set_party(conn: sa.Connection, name: str, tenant: str, party: str, on: bool, who: str, why: str, now_ms: int) -> bool:
    """Opens a customer's portal to a user, or closes it. False = it was so already. A `ValueError` names the fault."""
    if find(conn, name) is None:
        raise ValueError(f"there is no user {name!r}")
    changed = _set(conn, tables.user_parties, {"name": name, "tenant": tenant, "party": party}, on)
    if changed:
        audit.note(conn, who, "opened a portal" if on else "closed a portal", f"{name}: {tenant}/{party}", why, now_ms)
    return changed


def _set(conn: sa.Connection, table: sa.Table, row: dict[str, str], on: bool) -> bool:
    """Puts a row there, or removes it. False = it was so already."""
    if on:
        return put_once(conn, table, row)
    return bool(conn.execute(sa.delete(table).where(*(table.c[name] == value for name, value in row.items()))).rowcount)


def every(conn: sa.Connection) -> list[User]:
    """All users, by name."""
    t, r, p = tables.users.c, tables.user_roles.c, tables.user_parties.c
    parties: dict[str, list[tuple[str, str]]] = {}
    for name, tenant, party in conn.execute(sa.select(p.name, p.tenant, p.party).order_by(p.name, p.tenant, p.party)):
        parties.setdefault(name, []).append((tenant, party))
    roles: dict[str, list[tuple[str, str]]] = {}
    for name, tenant, role in conn.execute(sa.select(r.name, r.tenant, r.role).order_by(r.name, r.tenant, r.role)):
        roles.setdefault(name, []).append((tenant, role))
    rows = conn.execute(sa.select(t.name, t.at_ms, t.sessions_from_ms, t.disabled_at_ms).order_by(t.name))
    return [
        User(row.name, tuple(roles.get(row.name, ())), row.at_ms, row.sessions_from_ms, row.disabled_at_ms, tuple(parties.get(row.name, ())))
        for row in rows
    ]


def find(conn: sa.Connection, name: str) -> User | None:
    return next((user for user in every(conn) if user.name == name), None)


def stored_hash(conn: sa.Connection, name: str) -> str:
    """The hash that a password of this name must fit: "" for one who cannot sign in with a password."""
    t = tables.users.c
    return str(conn.execute(sa.select(t.password_hash).where(t.name == name, t.disabled_at_ms.is_(None))).scalar() or "")


def fits(stored: str, password: str) -> bool:
    """Whether a password fits a hash. It takes as long for "" (an unknown name), about 50 ms and 64 MB."""
    try:
        return _hasher.verify(stored or _nobody(), password[:MAX_PASSWORD]) and bool(stored)
    except (VerificationError, InvalidHashError):
        return False


def _hashed(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ValueError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return _hasher.hash(password)


def _change(conn: sa.Connection, name: str, **values: object) -> None:
    if not conn.execute(sa.update(tables.users).where(tables.users.c.name == name).values(**values)).rowcount:
        raise ValueError(f"there is no user {name!r}")
