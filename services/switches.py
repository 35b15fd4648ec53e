"""Switches that take orders, and the tokens with which they post their records."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from books import Connection, audit, credentials, switches
from core.safety import is_table_name
from services.errors import BadArgument, UnknownName

LEAST_TOKEN = 16
"""Characters of a control token: a shorter one can be guessed."""


class Issued(NamedTuple):
    """A new token; the books have only its hash. `known`: whether the books have an address for the switch."""

    token: str
    credential: str
    known: bool


def check_name(name: str) -> None:
    """Raises `BadArgument` for an invalid name of a switch."""
    if not is_table_name(name):
        raise BadArgument(f"{name!r} is no switch's name: letters, digits, . _ - @ +, at most 64")


def add(conn: Connection, name: str, control_url: str, token: str, tenant: str, who: str, why: str, now_ms: int) -> bool:
    """Adds a switch for a tenant, or changes its address; returns whether it enforces for that tenant. A new one is in shadow.

    Raises `BadArgument` if the name, the address (http://ADDRESS:PORT/RPC) or the token is invalid.
    """
    check_name(name)
    parts = urlsplit(control_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadArgument(f"--control-url {control_url!r} is not http://ADDRESS:PORT/RPC")
    if len(token) < LEAST_TOKEN:
        raise BadArgument(f"a control token of fewer than {LEAST_TOKEN} characters can be guessed")
    switches.add(conn, name, "kamailio", control_url, token, now_ms)
    switches.serve(conn, name, tenant, now_ms)
    audit.note(conn, who, "switch named", f"{name} at {control_url} for {tenant}", why, now_ms)
    return switches.enforcing(conn, name, tenant)


def enforce(conn: Connection, name: str, tenant: str, on: bool, who: str, why: str, now_ms: int) -> None:
    """Makes a switch refuse the calls of a tenant's blocks, or puts it back in shadow. Raises `UnknownName`."""
    known = [one.name for one in switches.every(conn)]
    if name not in known:
        raise UnknownName(f"There is no switch {name!r}; there are: {', '.join(known) or 'none'}.")
    switches.set_enforcing(conn, name, tenant, on, who, why, now_ms)


def issue(
    conn: Connection, switch: str, tenants: Sequence[str], sources: Sequence[str], who: str, why: str, now_ms: int,
    scopes: Sequence[str] = credentials.OF_A_SWITCH, expires_at_ms: int | None = None,
) -> Issued:  # fmt: skip
    """A new token for a switch that posts records of these tenants, or for a program. `sources`: addresses or networks it may come from; () = any.

    Raises `BadArgument` if the name or a source is invalid.
    """
    check_name(switch)
    token = secrets.token_urlsafe(32)
    try:
        credentials.add(conn, tenants, switch, token, sources, now_ms, scopes, expires_at_ms)
    except ValueError as error:
        raise BadArgument(f"The token is not made: {error}") from None
    what = f"{credentials.id_of(token)}: {switch} for {', '.join(tenants)}, may {', '.join(scopes)}"
    audit.note(conn, who, "credential added", what, why, now_ms)
    known = switch in [one.name for one in switches.every(conn)]
    for tenant in tenants if known and "records" in scopes else ():
        switches.serve(conn, switch, tenant, now_ms)
    return Issued(token, credentials.id_of(token), known)


def revoke(conn: Connection, credential: str, who: str, why: str, now_ms: int) -> None:
    """Ends a token. Raises `UnknownName`."""
    if not credentials.revoke(conn, credential, now_ms):
        raise UnknownName(f"There is no live credential {credential}: `ringfence credential list` shows them.")
    audit.note(conn, who, "credential revoked", credential, why, now_ms)
