"""Invoices: drafts that a run made, approved and issued by a person, then never changed; and their gapless numbers per legal entity and year.

The invoices of a party, agreement and currency are a chain: each is the step from the state of the one before (a posted batch, the end of a
period) to its own, so that no call can be on two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from assurance.invoice import Document
from books import audit, tables
from books.upsert import insert_once, put, put_once
from core.ids import derived_id

AT_ONCE = 400


class Invoice(NamedTuple):
    """A row of `invoices`; `document` is read by `Invoice.read`."""

    id: str
    tenant: str
    party: str
    agreement: str
    currency: str
    place: int
    kind: str
    status: str
    issuer: str
    number: str
    run: str
    before_batch: int
    before_until_ms: int
    batch: int
    until_ms: int
    instant: str
    from_day: str
    until_day: str
    document: str
    net: int
    tax: int
    total: int
    credits: str
    who: str
    at_ms: int
    due_ms: int
    issued_at_ms: int
    paid: int = 0

    def read(self) -> Document:
        return msgspec.json.decode(self.document, type=Document)


class Run(NamedTuple):
    """A row of `invoice_runs`."""

    id: str
    tenant: str
    until_day: str
    batch: int
    state: str
    due: int
    made: int
    findings: str
    who: str
    at_ms: int


class Refused(Exception):
    """The invoice is not in the state for it. Nothing was changed."""


def invoice_id(tenant: str, party: str, agreement: str, currency: str, place: int) -> str:
    """The id of an invoice, by its place in its chain."""
    return derived_id("invoice", tenant, party, agreement, currency, place)


def draft(invoice: Invoice) -> dict[str, object]:
    return invoice._asdict()


# --- runs ---


def begin(conn: sa.Connection, tenant: str, until_day: str, batch: int, who: str, now_ms: int) -> Run:
    """The run of a tenant and day: a new one, or the one that was begun before, with the batch of then."""
    row = Run(derived_id("run", tenant, until_day), tenant, until_day, batch, "running", 0, 0, "[]", audit.clean(who), now_ms)
    if put_once(conn, tables.invoice_runs, row._asdict()):
        audit.note(conn, who, "began an invoice run", f"{tenant} {until_day}", f"posting batch {batch}", now_ms)
    return run_of(conn, row.id)


def has_begun(conn: sa.Connection, tenant: str, until_day: str) -> bool:
    """Whether a run of this tenant and day was begun."""
    t = tables.invoice_runs.c
    return conn.execute(sa.select(t.id).where(t.id == derived_id("run", tenant, until_day))).first() is not None


def run_of(conn: sa.Connection, run: str) -> Run:
    return Run(*conn.execute(sa.select(tables.invoice_runs).where(tables.invoice_runs.c.id == run)).one())


def runs(conn: sa.Connection, tenant: str = "") -> list[Run]:
    """All runs, the newest first."""
    t = tables.invoice_runs
    query = sa.select(t).order_by(t.c.at_ms.desc(), t.c.id)
    return [Run(*row) for row in conn.execute(query.where(t.c.tenant == tenant) if tenant else query)]


def progressed(conn: sa.Connection, run: str, **values: object) -> None:
    """Changes what a run shows: state, due, made, findings."""
    conn.execute(sa.update(tables.invoice_runs).where(tables.invoice_runs.c.id == run).values(**values))


def add(conn: sa.Connection, drafts: Sequence[Invoice]) -> None:
    """Stores drafts; those that are there already stay as they are."""
    insert_once(conn, tables.invoices, [one._asdict() for one in drafts])


# --- one after another ---


def last_of_chains(conn: sa.Connection, tenant: str) -> dict[tuple[str, str, str], Invoice]:
    """The newest invoice of each chain, by party, agreement and currency."""
    t = tables.invoices.c
    newest = (
        sa.select(t.party, t.agreement, t.currency, sa.func.max(t.place).label("place"))
        .where(t.tenant == tenant, t.kind == "invoice")
        .group_by(t.party, t.agreement, t.currency)
        .subquery()
    )
    same = sa.and_(t.party == newest.c.party, t.agreement == newest.c.agreement, t.currency == newest.c.currency, t.place == newest.c.place)
    query = sa.select(tables.invoices).join(newest, same).where(t.tenant == tenant, t.kind == "invoice")
    return {(one.party, one.agreement, one.currency): one for one in (Invoice(*row) for row in conn.execute(query))}


def every(
    conn: sa.Connection, tenant: str, party: str = "", status: Iterable[str] = (), run: str = "", credits: str = "", most: int | None = None
) -> list[Invoice]:
    """Invoices and credit notes, oldest first; at most so many."""
    t = tables.invoices.c
    query = sa.select(tables.invoices).where(t.tenant == tenant).order_by(t.until_ms, t.party, t.agreement, t.currency, t.at_ms, t.id)
    for column, value in ((t.party, party), (t.run, run), (t.credits, credits)):
        query = query.where(column == value) if value else query
    if wanted := list(status):
        query = query.where(t.status.in_(wanted))
    return [Invoice(*row) for row in conn.execute(query.limit(most))]


def find(conn: sa.Connection, tenant: str, name: str) -> Invoice | None:
    """An invoice by its number or id (or the beginning of an id)."""
    t = tables.invoices.c
    query = sa.select(tables.invoices).where(t.tenant == tenant)
    for where in (t.number == name, t.id == name, t.id.startswith(name if name.startswith("invoice-") else f"invoice-{name}", autoescape=True)):
        rows = conn.execute(query.where(where).limit(2)).all() if name else []
        if len(rows) == 1:
            return Invoice(*rows[0])
    return None


def approve(conn: sa.Connection, ids: Iterable[str], who: str, why: str, now_ms: int) -> int:
    """draft -> approved; returns how many. Those that are approved or issued stay as they are."""
    t = tables.invoices
    done = 0
    for some in _pieces(list(ids)):
        done += conn.execute(sa.update(t).where(t.c.id.in_(some), t.c.status == "draft").values(status="approved", who=audit.clean(who))).rowcount
    if done:
        audit.note(conn, who, "approved invoices", str(done), why, now_ms)
    return done


def discard(conn: sa.Connection, invoice: Invoice, who: str, why: str, now_ms: int) -> None:
    """Removes a draft, so that a run makes it again of what is posted then. Raises `Refused`: only the last of its chain, and no issued one."""
    t = tables.invoices.c
    if invoice.status == "issued":
        raise Refused(f"invoice {invoice.number} is issued: credit it")
    later = sa.select(t.id).where(
        t.tenant == invoice.tenant, t.party == invoice.party, t.agreement == invoice.agreement, t.currency == invoice.currency,
        t.place > invoice.place,
    )  # fmt: skip
    if invoice.kind == "invoice" and conn.execute(later.limit(1)).first():
        raise Refused(f"{invoice.party}'s invoice until {invoice.until_day} is not his last one: discard the later ones first")
    conn.execute(sa.delete(tables.invoices).where(t.id == invoice.id))
    conn.execute(sa.delete(tables.invoice_runs).where(tables.invoice_runs.c.id == invoice.run))
    audit.note(conn, who, "discarded a draft invoice", f"{invoice.tenant} {invoice.party} {invoice.until_day}", why, now_ms)


def next_numbers(conn: sa.Connection, tenant: str, issuer: str, prefix: str, year: int, count: int) -> list[str]:
    """The next numbers of a legal entity and year. Their transaction issues the invoices as well, so that none is lost or used twice."""
    t = tables.invoice_numbers
    put_once(conn, t, {"tenant": tenant, "issuer": issuer, "year": year, "last": 0})
    mine = sa.and_(t.c.tenant == tenant, t.c.issuer == issuer, t.c.year == year)
    last = int(conn.execute(sa.select(t.c.last).where(mine).with_for_update()).scalar_one())
    conn.execute(sa.update(t).where(mine).values(last=last + count))
    return [f"{prefix + '-' if prefix else ''}{year}-{number:06d}" for number in range(last + 1, last + count + 1)]


def issue(conn: sa.Connection, issued: Sequence[Invoice]) -> None:
    """approved -> issued, under their numbers, for ever."""
    t = tables.invoices
    names = ("status", "number", "due_ms", "issued_at_ms", "paid")
    mine = t.c.id == sa.bindparam("of"), t.c.status == "approved"
    statement = sa.update(t).where(*mine).values({name: sa.bindparam(f"new_{name}") for name in names})
    conn.execute(statement, [{"of": one.id, **{f"new_{name}": getattr(one, name) for name in names}} for one in issued])


def gaps(conn: sa.Connection) -> list[str]:
    """Numbers that are missing or used twice, in words; none = gapless."""
    t, n = tables.invoices.c, tables.invoice_numbers
    found = []
    for tenant, issuer, year, last in conn.execute(sa.select(n.c.tenant, n.c.issuer, n.c.year, n.c.last)):
        query = sa.select(t.number).where(t.tenant == tenant, t.issuer == issuer, t.status == "issued", t.number.contains(f"{year}-"))
        used = sorted(int(number.rpartition("-")[2]) for number in conn.execute(query).scalars() if number.split("-")[-2] == str(year))
        if used != list(range(1, last + 1)):
            odd = sorted(set(range(1, last + 1)) ^ set(used)) or [one for one in used if used.count(one) > 1]
            found.append(f"{tenant}, {issuer or 'the legal entity'}, {year}: numbers {', '.join(map(str, odd[:10]))} are missing or used twice")
    return found


# --- mails ---


class Mail(NamedTuple):
    invoice: str
    address: str
    message_id: str
    state: str
    error: str
    at_ms: int


def mail_of(conn: sa.Connection, invoice: str, address: str) -> Mail | None:
    t = tables.invoice_mails
    row = conn.execute(sa.select(t).where(t.c.invoice == invoice, t.c.address == address)).first()
    return None if row is None else Mail(*row)


def mailed(conn: sa.Connection, mail: Mail) -> None:
    put(conn, tables.invoice_mails, mail._asdict())


def _pieces(names: list[str]) -> Iterable[list[str]]:
    return (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))
