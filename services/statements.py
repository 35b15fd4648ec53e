"""A party's account: its statement, what is open and how old it is, what its two sides net to, and what a reseller earned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import NamedTuple

from assurance.rounding import decimals_of, to_nanos
from books import Connection, audit, invoices, ledger, payments, writing
from books.invoices import Invoice
from books.ledger import Account
from core.billing import Commission, percent_of
from core.config import Account as Account_
from core.config import Party, party_of
from core.money import divide_half_up
from services import reading as warehouse_reading
from services.in_force import View
from services.installation import Installation, opened_books, tenant_of
from services.invoice_files import states_of
from warehouse import Warehouse, ask, owed

AGES_DAYS = (0, 30, 60, 90)
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Row:
    """A line of a statement: an invoice, credit note, payment or refund, and the balance after it. Nanos."""

    day: str
    what: str
    reference: str
    nanos: int
    balance: int


def statement(conn: Connection, tenant: str, party: str, currency: str) -> list[Row]:
    """A party's account in one currency, oldest first. Its last balance is the ledger's."""
    tenant = tenant_of(conn, tenant)
    found: list[tuple[int, str, str, int]] = []
    for one in invoices.every(conn, tenant, party, status=("issued",)):
        if one.currency == currency:
            what = "credit note" if one.kind == "credit_note" else "invoice"
            found.append((one.issued_at_ms, what, one.number, to_nanos(one.total, decimals_of(currency))))
    found += [(one.at_ms, one.kind, one.reference, -one.nanos) for one in payments.every(conn, tenant, party) if one.currency == currency]
    lost = ledger.transfers(conn, "write_off", Account(tenant, "receivable", currency, party))
    found += [(at_ms, "written off", "", -nanos) for at_ms, nanos in lost]
    rows, balance = [], 0
    for at_ms, what, reference, nanos in sorted(found, key=lambda one: one[0]):
        balance += nanos
        rows.append(Row(_day(at_ms), what, reference, nanos, balance))
    return rows


@dataclass(frozen=True)
class Aged:
    """What a party owes in one currency by how long it is overdue: not yet, 1 to 30, 31 to 60, 61 to 90 days, more. Smallest unit."""

    party: str
    currency: str
    amounts: tuple[int, int, int, int, int]

    @property
    def total(self) -> int:
        return sum(self.amounts)


def ageing(conn: Connection, tenant: str, now_ms: int) -> list[Aged]:
    """Open invoices of all parties by their age."""
    tenant = tenant_of(conn, tenant)
    issued = [one for one in invoices.every(conn, tenant, status=("issued",)) if one.kind == "invoice"]
    open_of = payments.open_amounts(conn, [one.id for one in issued])
    spent = payments.allocated(conn, [one.id for one in issued if one.total < 0])  # an invoice by which we owe pays others
    found: dict[tuple[str, str], list[int]] = {}
    for one in issued:
        if left := one.total + open_of.get(one.id, 0) + spent.get(one.id, 0):
            found.setdefault((one.party, one.currency), [0] * 5)[bucket((now_ms - one.due_ms) / DAY_MS)] += left
    return [Aged(party, currency, (a, b, c, d, e)) for (party, currency), (a, b, c, d, e) in sorted(found.items())]


def bucket(overdue_days: float) -> int:
    """
    >>> [bucket(days) for days in (-3, 0, 0.5, 30, 31, 90, 91)]
    [0, 0, 1, 1, 2, 3, 4]
    """
    return sum(overdue_days > limit for limit in AGES_DAYS)


@dataclass(frozen=True)
class Netted:
    """A party that is sold to and bought from, in one currency: what it owes us, what we owe it, and the difference. Nanos."""

    party: str
    currency: str
    owes_us: int
    we_owe: int

    @property
    def net(self) -> int:
        return self.owes_us - self.we_owe


def netting(conn: Connection, tenant: str, party: str = "") -> list[Netted]:
    """Both sides of each party, in nanos: invoices and calls that are posted, less what was paid."""
    tenant = tenant_of(conn, tenant)
    sides: dict[tuple[str, str], list[int]] = {}
    for account, nanos in ledger.balances(conn, tenant, party, ("receivable", "unbilled", "unpaid", "commission")):
        side = sides.setdefault((account.party, account.currency), [0, 0])
        if account.kind in ("receivable", "unbilled"):
            side[0] += nanos
        else:
            side[1] -= nanos
    return [Netted(name, currency, ours, theirs) for (name, currency), (ours, theirs) in sorted(sides.items())]


# --- commissions ---


@dataclass(frozen=True)
class Earned:
    """What a reseller earned by one document of a party under it, in nanos."""

    reseller: str
    party: str
    number: str
    base: int
    nanos: int
    currency: str


class Owed(NamedTuple):
    """What is owed to a reseller for commissions, in nanos."""

    reseller: str
    currency: str
    nanos: int


def owed_commissions(conn: Connection, tenant: str) -> list[Owed]:
    """What was posted for each reseller and not settled with it yet."""
    found = ledger.balances(conn, tenant, "", ("commission",))
    return sorted(Owed(account.party, account.currency, -nanos) for account, nanos in found if nanos)


def commissions(installation: Installation, tenant: str, who: str, now_ms: int) -> list[Earned]:
    """Posts what resellers earned and was not posted yet, by what was issued to (or paid by) the parties under them. Again, nothing is new."""
    with warehouse_reading.warehouse(installation) as client, opened_books(installation) as engine, writing(engine) as conn:
        tenant = tenant_of(conn, tenant)
        rows = View(conn).every(("parties", "accounts"), [tenant])
        parties = {row.name: row for row in rows if isinstance(row, Party)}
        accounts: dict[str, list[str]] = {}
        for row in rows:
            if isinstance(row, Account_):
                accounts.setdefault(party_of(row), []).append(row.name)
        done: list[Earned] = []
        issued = invoices.every(conn, tenant, status=("issued",))
        open_of = payments.open_amounts(conn, [one.id for one in issued])
        for one in issued:
            for reseller, commission in _above(parties, one.party):
                if commission.on == "paid" and (one.kind != "invoice" or one.total + open_of.get(one.id, 0) > 0):
                    continue
                base = to_nanos(one.net, decimals_of(one.currency))
                if commission.of != "revenue" and one.kind == "invoice":
                    base -= _less(client, conn, one, accounts.get(one.party, [one.party]), reseller if commission.of == "difference" else "")
                done += _earn(conn, one, reseller, commission, base, now_ms)
        if done:
            audit.note(conn, who, "posted commissions", tenant, f"{len(done)} of {len({one.reseller for one in done})} resellers", now_ms)
        return done


def _above(parties: dict[str, Party], name: str) -> Iterator[tuple[str, Commission]]:
    """The resellers above a party that have a commission."""
    visited, row = {name}, parties.get(name)
    while row is not None and row.parent and row.parent not in visited:
        visited.add(row.parent)
        row = parties.get(row.parent)
        if row is not None and row.commission is not None:
            yield row.name, row.commission


def _less(client: Warehouse, conn: Connection, one: Invoice, accounts: Sequence[str], reseller: str) -> int:
    """What the calls of an invoice cost, in its currency and nanos: what the carriers got, or what the reseller owes for them."""
    before, after = states_of(conn, one)
    whose = "role = 'sell' AND level > 0 AND party = {reseller:String}" if reseller else "role = 'buy'"
    condition = f"tenant = {{tenant:String}} AND currency = {{currency:String}} AND has({{accounts:Array(String)}}, account) AND {whose}"
    params = {"tenant": one.tenant, "currency": one.currency, "accounts": list(accounts), "reseller": reseller}
    query = owed.step(before, after, "sum(toInt128(nanos) * sign) AS nanos", "", condition, params, one.instant)
    return sum(int(row["nanos"]) for row in ask(client, query))


def _earn(conn: Connection, one: Invoice, reseller: str, commission: Commission, base: int, now_ms: int) -> list[Earned]:
    share = Fraction(base) * Fraction(percent_of(commission.percent)) / 100
    nanos = divide_half_up(share.numerator, share.denominator)
    owed_to, cost = Account(one.tenant, "commission", one.currency, reseller), Account(one.tenant, "cost", one.currency)
    if ledger.sums(conn, "commission", ("commission",), f"{one.id} {reseller}"):
        return []  # as it was: what is bought later belongs to the next invoice
    ledger.post(conn, ledger.transfer("commission", f"{one.id} {reseller}", owed_to, cost, nanos), now_ms)
    return [Earned(reseller, one.party, one.number, base, nanos, one.currency)] if nanos else []


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
