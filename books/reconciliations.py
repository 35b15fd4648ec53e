"""What was reconciled with whom: the totals, the causes, the calls that differ; and how each party writes its files."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa

from assurance.reconcile.layout import Layout
from books import audit, tables
from books.upsert import put, put_once


class FileProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a party writes its files, corrected by a person where the guess was wrong. `names`: its name of a destination -> ours."""

    calls: Layout | None = None
    invoice: Layout | None = None
    names: dict[str, str] = {}


class CauseSum(msgspec.Struct, frozen=True, omit_defaults=True):
    """One cause of a difference. Amounts are decimal text; `more` is what the other side charges too much by it, `less` too little."""

    cause: str
    parts: int
    amount: str
    more: str = "0"
    less: str = "0"


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person reads of a reconciliation."""

    causes: tuple[CauseSum, ...] = ()
    clock: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    calls: int = 0  # of ours in the period
    their_calls: int = 0
    unreadable: int = 0
    our_seconds: int = 0  # charged
    has_calls: bool = False


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison. `theirs` and `ours` are decimal text; the causes add up to their difference."""

    id: str
    tenant: str
    role: str
    party: str
    from_ms: int
    to_ms: int
    invoice_no: str
    invoice_sha256: str
    cdrs_sha256: str
    currency: str
    theirs: str
    ours: str
    summary: Summary
    who: str
    at_ms: int


def id_of(tenant: str, role: str, party: str, from_ms: int, to_ms: int, invoice_sha256: str, cdrs_sha256: str) -> str:
    """The same files for the same period are the same reconciliation.

    >>> id_of("t1", "buy", "alpha", 0, 1, "a", "b")
    'alpha-1970-01-01-f284cf'
    """
    text = "\x1f".join((tenant, role, party, str(from_ms), str(to_ms), invoice_sha256, cdrs_sha256))
    day = f"{datetime.fromtimestamp(from_ms / 1000 + 43_200, UTC):%Y-%m-%d}"
    return f"{party}-{day}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


_FIELDS = tuple(name for name in Reconciliation.__struct_fields__ if name != "summary")


def add(conn: sa.Connection, one: Reconciliation, calls: bytes) -> bool:
    """Stores a reconciliation with the calls that differ (Parquet). False = it is there already."""
    row = {name: getattr(one, name) for name in _FIELDS} | {"summary": msgspec.json.encode(one.summary).decode(), "calls": calls}
    row |= {"who": audit.clean(one.who), "invoice_no": audit.clean(one.invoice_no, 100)}
    if not put_once(conn, tables.reconciliations, row):
        return False
    audit.note(conn, one.who, "reconciled", f"{one.tenant}/{one.party}", one.id, one.at_ms)
    return True


def find(conn: sa.Connection, tenant: str, name: str) -> Reconciliation | None:
    """A reconciliation by its id."""
    t = tables.reconciliations.c
    row = conn.execute(_select().where(t.tenant == tenant, t.id == name)).first()
    return None if row is None else _of(row)


def every(conn: sa.Connection, tenant: str, role: str = "") -> list[Reconciliation]:
    """Those of a tenant, the newest first."""
    t = tables.reconciliations.c
    query = _select().where(t.tenant == tenant).order_by(t.at_ms.desc(), t.id)
    return [_of(row) for row in conn.execute(query.where(t.role == role) if role else query)]


def calls_of(conn: sa.Connection, tenant: str, name: str) -> bytes:
    """The calls that differ, as Parquet."""
    t = tables.reconciliations.c
    return bytes(conn.execute(sa.select(t.calls).where(t.tenant == tenant, t.id == name)).scalar_one())


def _select() -> sa.Select[tuple[object, ...]]:
    return sa.select(*(tables.reconciliations.c[name] for name in _FIELDS), tables.reconciliations.c.summary)


def _of(row: sa.Row[tuple[object, ...]]) -> Reconciliation:
    values = dict(row._mapping)
    return Reconciliation(**{**values, "summary": msgspec.json.decode(str(values["summary"]), type=Summary)})


def profile(conn: sa.Connection, tenant: str, role: str, party: str) -> FileProfile:
    """How a party writes its files; empty where nothing is known yet."""
    t = tables.party_files.c
    text = conn.execute(sa.select(t.profile).where(t.tenant == tenant, t.role == role, t.party == party)).scalar()
    return FileProfile() if text is None else msgspec.json.decode(text, type=FileProfile)


def keep_profile(conn: sa.Connection, tenant: str, role: str, party: str, kept: FileProfile, who: str, now_ms: int) -> None:
    """Keeps it for the next file; what it is already is not written."""
    if profile(conn, tenant, role, party) == kept:
        return
    row = {"tenant": tenant, "role": role, "party": party, "profile": msgspec.json.encode(kept).decode(), "who": audit.clean(who), "at_ms": now_ms}
    put(conn, tables.party_files, row)
    audit.note(conn, who, "kept how files are written", f"{tenant}/{party}", "", now_ms)
