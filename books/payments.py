"""Payments and refunds, and which invoices they pay. Nothing is updated or deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from assurance.rounding import decimals_of, to_minor
from books import tables
from books.ledger import joined, split
from books.upsert import put_once

AT_ONCE = 400


class Payment(NamedTuple):
    """`nanos` > 0 came in, < 0 was paid back. `id`: derived from where it comes from."""

    id: str
    tenant: str
    party: str
    currency: str
    kind: str
    nanos: int
    reference: str
    value_day: str
    source: str
    who: str
    at_ms: int


class Allocation(NamedTuple):
    """So much of a payment (a credit note, a write-off) pays an invoice, in the currency's smallest unit."""

    id: str
    tenant: str
    invoice: str
    payment: str
    amount: int
    at_ms: int


def add(conn: sa.Connection, payment: Payment) -> bool:
    """Stores a payment; False = it was recorded before."""
    units, nanos = split(payment.nanos)
    return put_once(conn, tables.payments, {**payment._asdict(), "units": units, "nanos": nanos})


def _read(row: sa.Row[tuple[object, ...]]) -> Payment:
    values = dict(row._mapping)
    values["nanos"] = joined(values.pop("units"), values["nanos"])
    return Payment(**values)


def find(conn: sa.Connection, payment: str) -> Payment | None:
    row = conn.execute(sa.select(tables.payments).where(tables.payments.c.id == payment)).first()
    return None if row is None else _read(row)


def every(conn: sa.Connection, tenant: str, party: str = "") -> list[Payment]:
    """Payments and refunds, oldest first."""
    t = tables.payments
    query = sa.select(t).where(t.c.tenant == tenant).order_by(t.c.at_ms, t.c.id)
    return [_read(row) for row in conn.execute(query.where(t.c.party == party) if party else query)]


def allocate(conn: sa.Connection, allocation: Allocation) -> bool:
    return put_once(conn, tables.allocations, allocation._asdict())


def allocated(conn: sa.Connection, payments: Sequence[str]) -> dict[str, int]:
    """Payment id -> what of it is allocated."""
    t = tables.allocations.c
    found: dict[str, int] = {}
    for start in range(0, len(payments), AT_ONCE):
        query = sa.select(t.payment, sa.func.sum(t.amount)).where(t.payment.in_(payments[start : start + AT_ONCE])).group_by(t.payment)
        found |= {payment: int(amount) for payment, amount in conn.execute(query)}
    return found


class Source(NamedTuple):
    """What may pay an invoice: a payment, a credit note, or an invoice by which we owe. `amount`: in the smallest unit, > 0, allocated or not."""

    id: str
    party: str
    currency: str
    amount: int
    at_ms: int


def sources(conn: sa.Connection, tenant: str, parties: Sequence[str]) -> list[Source]:
    """What may pay invoices of some parties, oldest first."""
    found: list[Source] = []
    p, i = tables.payments.c, tables.invoices.c
    for start in range(0, len(parties), AT_ONCE):
        some = parties[start : start + AT_ONCE]
        paid = sa.select(p.id, p.party, p.currency, p.units, p.nanos, p.at_ms).where(p.tenant == tenant, p.party.in_(some), p.kind == "payment")
        found += [
            Source(id, party, currency, to_minor(joined(units, nanos), decimals_of(currency)), at_ms)
            for id, party, currency, units, nanos, at_ms in conn.execute(paid)
        ]
        owed = sa.select(i.id, i.party, i.currency, -i.total, i.issued_at_ms)
        owed = owed.where(i.tenant == tenant, i.party.in_(some), i.status == "issued", i.total < 0)
        found += [Source(*row) for row in conn.execute(owed)]
    return sorted(found, key=lambda one: (one.at_ms, one.id))


def open_amounts(conn: sa.Connection, invoices: Sequence[str]) -> dict[str, int]:
    """Invoice id -> minus what is allocated to it; add its total, and it is what is open."""
    t = tables.allocations.c
    found: dict[str, int] = {}
    for start in range(0, len(invoices), AT_ONCE):
        query = sa.select(t.invoice, sa.func.sum(t.amount)).where(t.invoice.in_(invoices[start : start + AT_ONCE])).group_by(t.invoice)
        found |= {invoice: -int(amount) for invoice, amount in conn.execute(query)}
    return found
