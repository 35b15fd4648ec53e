"""API keys: a token stands for a switch or a program, the tenants that it may speak for, what it may do, the networks it may come from, and until
when. Only the hash of the token is stored."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from books import tables
from books.upsert import put

ID_DIGITS = 12
"""Of a token's hash: enough to name the credential, too few to guess the token from."""


SCOPES = ("records", "route", "lists", "alerts", "verdicts")
"""What a token may do: post records; ask for routes and screen calls; read and change the lists of its tenants; read their alerts, with whole
numbers; say what an alert was."""
OF_A_SWITCH = ("records", "route")


class Credential(NamedTuple):
    tenants: tuple[str, ...]  # that it may speak for, by name
    switch: str
    sources: tuple[str, ...] = ()
    scopes: tuple[str, ...] = OF_A_SWITCH
    expires_at_ms: int | None = None

    def allows(self, address: str) -> bool:
        """Whether records may come from this address.

        >>> Credential(("t1",), "k1", ("127.0.0.0/8",)).allows("127.0.0.1"), Credential(("t1",), "k1", ("10.0.0.0/8",)).allows("x")
        (True, False)
        """
        if not self.sources:
            return True
        try:
            at = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(at in ipaddress.ip_network(network) for network in self.sources)

    def may(self, scope: str, now_ms: int) -> bool:
        """Whether the token may do this at this time.

        >>> key = Credential(("t1",), "crm", scopes=("lists",), expires_at_ms=5)
        >>> key.may("lists", 4), key.may("lists", 5), key.may("records", 4)
        (True, False, False)
        """
        return scope in self.scopes and (self.expires_at_ms is None or now_ms < self.expires_at_ms)


class Listed(NamedTuple):
    """A credential as lists show it, without the token. `id`: the first digits of the token's hash."""

    id: str
    tenants: tuple[str, ...]
    switch: str
    sources: tuple[str, ...]
    at_ms: int
    revoked_at_ms: int | None
    scopes: tuple[str, ...] = OF_A_SWITCH
    expires_at_ms: int | None = None


def add(
    conn: sa.Connection, tenants: Sequence[str], switch: str, token: str, sources: Sequence[str], now_ms: int,
    scopes: Sequence[str] = OF_A_SWITCH, expires_at_ms: int | None = None,
) -> None:  # fmt: skip
    """Adds a token for a switch that carries calls of these tenants, or for a program. `sources`: networks; none = from anywhere. Adding a
    token again replaces its credential. A `ValueError` names the fault."""
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError(f"scopes are {', '.join(SCOPES)}")
    if expires_at_ms is not None and expires_at_ms <= now_ms:
        raise ValueError("the token would have expired already")
    if not tenants:
        raise ValueError("a credential speaks for at least one tenant")
    if len(token) < 16:
        raise ValueError("a token of fewer than 16 characters can be guessed")
    networks = [str(ipaddress.ip_network(source)) for source in sources]
    row = {"token_sha256": _hash(token), "switch": switch, "at_ms": now_ms, "revoked_at_ms": None}
    row |= {"tenants": _text(sorted(set(tenants))), "sources": _text(networks), "scopes": _text(sorted(set(scopes)))}
    row |= {"expires_at_ms": expires_at_ms}
    put(conn, tables.credentials, row)


def find(conn: sa.Connection, token: str) -> Credential | None:
    """The credential of a token; None = the token is unknown, or revoked. Whether it has expired is asked when it is used (`Credential.may`)."""
    t = tables.credentials.c
    query = sa.select(t.tenants, t.switch, t.sources, t.scopes, t.expires_at_ms).where(t.token_sha256 == _hash(token), t.revoked_at_ms.is_(None))
    row = conn.execute(query).first()
    if row is None:
        return None
    return Credential(_names(row.tenants), row.switch, _names(row.sources), _names(row.scopes), row.expires_at_ms)


def every(conn: sa.Connection) -> list[Listed]:
    """All credentials, with the revoked ones."""
    t = tables.credentials.c
    query = sa.select(t.token_sha256, t.tenants, t.switch, t.sources, t.at_ms, t.revoked_at_ms, t.scopes, t.expires_at_ms)
    query = query.order_by(t.at_ms, t.token_sha256)
    return [
        Listed(row[0][:ID_DIGITS], _names(row[1]), row[2], _names(row[3]), row[4], row[5], _names(row[6]), row[7]) for row in conn.execute(query)
    ]


def revoke(conn: sa.Connection, credential_id: str, now_ms: int) -> bool:
    """Revokes the credential of this id. False = there is none, or it is revoked already."""
    if len(credential_id) != ID_DIGITS:
        return False
    t = tables.credentials.c
    update = sa.update(tables.credentials).where(
        sa.func.substr(t.token_sha256, 1, ID_DIGITS) == credential_id, t.revoked_at_ms.is_(None)
    )
    return bool(conn.execute(update.values(revoked_at_ms=now_ms)).rowcount)


def id_of(token: str) -> str:
    """The id of the credential of this token."""
    return _hash(token)[:ID_DIGITS]


def _text(names: list[str]) -> str:
    return msgspec.json.encode(names).decode()


def _names(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
