"""Who may sign in to the pages, and with which roles. Commands and pages call these, with the same audit."""

from __future__ import annotations

from collections.abc import Sequence

from books import Connection, Engine, audit, reading, users, writing
from books.users import User
from core.config import party_of
from services.errors import ServiceError
from services.in_force import View


def add(
    conn: Connection, name: str, password: str, roles: Sequence[str], tenant: str, who: str, why: str, now_ms: int
) -> None:
    """Adds a user with roles for a tenant ("" = every tenant). Raises `ServiceError`; then nothing was added."""
    try:
        users.add(conn, name, password, who, why, now_ms)
        for role in roles:
            users.set_role(conn, name, tenant, role, True, who, why, now_ms)
    except ValueError as wrong:
        raise ServiceError(f"User {name} was not added: {wrong}.") from None


def set_role(conn: Connection, name: str, tenant: str, role: str, on: bool, who: str, why: str, now_ms: int) -> bool:
    """Gives or takes a role; False = it was so already. Raises `ServiceError`."""
    try:
        return users.set_role(conn, name, tenant, role, on, who, why, now_ms)
    except ValueError as wrong:
        raise ServiceError(f"Nothing was changed: {wrong}.") from None


def set_party(conn: Connection, name: str, tenant: str, party: str, on: bool, who: str, why: str, now_ms: int) -> bool:
    """Opens the portal of a customer to a user, or closes it; False = it was so already. Raises `ServiceError`."""
    try:
        if on and not any(party_of(row) == party for row in View(conn).every(("accounts",), {tenant})):
            raise ValueError(f"tenant {tenant} has no account of a party {party!r}")
        return users.set_party(conn, name, tenant, party, on, who, why, now_ms)
    except ValueError as wrong:
        raise ServiceError(f"Nothing was changed: {wrong}.") from None


def set_password(conn: Connection, name: str, password: str, who: str, why: str, now_ms: int) -> None:
    """A new password; the user's sessions end. Raises `ServiceError`."""
    try:
        users.set_password(conn, name, password, who, why, now_ms)
    except ValueError as wrong:
        raise ServiceError(f"Nothing was changed: {wrong}.") from None


def set_disabled(conn: Connection, name: str, disabled: bool, who: str, why: str, now_ms: int) -> None:
    """Disables a user, whose sessions end within seconds, or enables one again. Raises `ServiceError`."""
    try:
        users.set_disabled(conn, name, disabled, who, why, now_ms)
    except ValueError as wrong:
        raise ServiceError(f"Nothing was changed: {wrong}.") from None


def every(conn: Connection) -> list[User]:
    return users.every(conn)


def sign_in(engine: Engine, name: str, password: str, now_ms: int) -> bool:
    """Whether a password is a user's; a right one is noted in the audit log. The password is verified outside of any transaction."""
    with reading(engine) as conn:
        stored = users.stored_hash(conn, name)
    if not users.fits(stored, password):
        return False
    with writing(engine) as conn:
        audit.note(conn, name, "signed in", "pages", "with a password", now_ms)
    return True


def sign_in_elsewhere(engine: Engine, name: str, provider: str, now_ms: int) -> bool:
    """Whether somebody whom an OpenID provider has signed in is a user who is not disabled; it is noted in the audit log."""
    with reading(engine) as conn:
        found = users.find(conn, name)
    if found is None or found.disabled_at_ms is not None:
        return False
    with writing(engine) as conn:
        audit.note(conn, name, "signed in", "pages", f"through {provider}", now_ms)
    return True


def note_access(conn: Connection, who: str, what: str, subject: str, now_ms: int) -> None:
    """That a person saw whole numbers, or took rows out."""
    audit.note(conn, who, what, subject, "", now_ms)
