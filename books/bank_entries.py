"""Entries of banks' statements: which payment each became, or why it waits for a person."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from books import tables
from books.ledger import joined, split
from books.upsert import put_once


class BankEntry(NamedTuple):
    """Money that came in. `id`: derived from its account, statement and place."""

    id: str
    tenant: str
    file: str
    account: str
    currency: str
    text: str
    name: str
    iban: str
    value_day: str
    nanos: int
    state: str  # matched | unmatched | dismissed
    why: str
    payment: str
    at_ms: int


def add(conn: sa.Connection, entry: BankEntry) -> bool:
    """Stores an entry; False = it is there already."""
    units, nanos = split(entry.nanos)
    return put_once(conn, tables.bank_entries, {**entry._asdict(), "units": units, "nanos": nanos})


def find(conn: sa.Connection, entry: str) -> BankEntry | None:
    row = conn.execute(sa.select(tables.bank_entries).where(tables.bank_entries.c.id == entry)).first()
    return None if row is None else _read(row)


def twin(conn: sa.Connection, entry: BankEntry) -> BankEntry | None:
    """An entry of another file with the same account, day and amount: the same money, perhaps."""
    t, (units, nanos) = tables.bank_entries.c, split(entry.nanos)
    same = sa.and_(t.tenant == entry.tenant, t.account == entry.account, t.value_day == entry.value_day, t.currency == entry.currency)
    query = sa.select(tables.bank_entries).where(same, t.units == units, t.nanos == nanos, t.file != entry.file, t.id != entry.id).order_by(t.id)
    row = conn.execute(query.limit(1)).first() if entry.account and entry.value_day else None
    return None if row is None else _read(row)


def waiting(conn: sa.Connection, tenant: str) -> list[BankEntry]:
    """Entries that no payment was made of, oldest first."""
    t = tables.bank_entries
    query = sa.select(t).where(t.c.tenant == tenant, t.c.state == "unmatched").order_by(t.c.value_day, t.c.id)
    return [_read(row) for row in conn.execute(query)]


def settle(conn: sa.Connection, entry: str, state: str, why: str, payment: str = "") -> None:
    """What became of an entry that waited: a payment, or nobody's."""
    t = tables.bank_entries
    conn.execute(sa.update(t).where(t.c.id == entry).values(state=state, payment=payment, why=why))


def _read(row: sa.Row[tuple[object, ...]]) -> BankEntry:
    values = dict(row._mapping)
    values["nanos"] = joined(values.pop("units"), values["nanos"])
    return BankEntry(**values)
