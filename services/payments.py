"""Payments: recorded by hand or from a bank's file, allocated to invoices, and what is open.

Order: the payment, its transfer and its allocations, in one transaction; each once by its id, so that the same file or the same command again changes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assurance.rounding import decimals_of, to_minor
from assurance.rounding import to_nanos as minor_to_nanos
from books import Connection, audit, invoices, ledger, payments
from books.invoices import Invoice
from books.ledger import Account
from books.payments import Allocation, Payment
from core.billing import is_day
from core.config import Account as AccountRow
from core.config import party_of
from core.currencies import CURRENCIES
from core.ids import derived_id
from core.money import to_nanos, to_text
from services.errors import BadArgument, ServiceError, UnknownName
from services.in_force import View
from services.installation import tenant_of


class Refused(ServiceError):
    """It cannot be recorded; the text says why. Nothing was changed."""


@dataclass(frozen=True)
class Recorded:
    """A payment, what of it went to which invoice (number, smallest unit), and what is left of it. `new`: False = it was recorded before."""

    payment: Payment
    allocated: list[tuple[str, int]]
    left: int
    new: bool


def record(
    conn: Connection, tenant: str, party: str, amount: str, currency: str, reference: str, value_day: str, who: str, now_ms: int,
    numbers: Sequence[str] = (), source: str = "hand", prepaid: bool = False,
) -> Recorded:  # fmt: skip
    """Records what a party paid: allocated to the invoices that are named (`numbers`), else to the oldest open ones. What is left stays open, for the
    next invoice. `reference` identifies it: the same party, reference, day and amount again is the same payment."""
    tenant = tenant_of(conn, tenant)
    nanos = _amount(amount, currency)
    if value_day and not is_day(value_day):
        raise BadArgument(f"{value_day!r} is no date: write 2026-12-25")
    if nanos <= 0:
        raise BadArgument(f"{amount} is no payment: it must be > 0; a refund has a command of its own")
    known = _currencies(conn, tenant, party)
    if not known and not prepaid:
        raise UnknownName(f"Nothing was ever sold to {party!r}, so it owes nothing. Is it a prepayment? Then say so.")
    if not known and party not in _parties(conn, tenant):
        raise UnknownName(f"The config has no party or account {party!r}: nobody could ever be invoiced for it.")
    if currency not in known and not prepaid:
        raise Refused(f"{party} owes in {', '.join(sorted(known))}, not in {currency}: change the money first, or record it as a prepayment.")
    wanted = [_open_invoice(conn, tenant, party, currency, number) for number in numbers]
    payment = Payment(
        derived_id("payment", tenant, source, party, reference, value_day, currency, nanos), tenant, party, currency, "payment", nanos, reference,
        value_day, source, audit.clean(who), now_ms,
    )  # fmt: skip
    if not payments.add(conn, payment):
        return Recorded(payment, [], left_of(conn, payment), False)
    receivable, cash = Account(tenant, "receivable", currency, party), Account(tenant, "cash", currency)
    ledger.post(conn, ledger.transfer("payment", payment.id, receivable, cash, nanos), now_ms)
    done = allocate(conn, payment, wanted or open_invoices(conn, tenant, party, currency), now_ms)
    audit.note(conn, who, "recorded a payment", f"{tenant} {party}", f"{amount} {currency}, {reference}", now_ms)
    return Recorded(payment, done, left_of(conn, payment), True)


def _amount(text: str, currency: str) -> int:
    if currency not in CURRENCIES:
        raise BadArgument(f"{currency!r} is no currency: write a code of ISO 4217 such as EUR")
    try:
        nanos = to_nanos(text)
    except ValueError as wrong:
        raise BadArgument(str(wrong)) from None
    decimals = decimals_of(currency)
    if nanos != minor_to_nanos(to_minor(nanos, decimals), decimals):
        raise BadArgument(f"{text} has more decimals than {currency} has ({decimals})")
    return nanos


def _currencies(conn: Connection, tenant: str, party: str) -> set[str]:
    return {one.account.currency for one in ledger.balances(conn, tenant, party, ("receivable", "unbilled"))}


def _parties(conn: Connection, tenant: str) -> set[str]:
    rows = View(conn).every(("parties", "accounts"), {tenant})
    return {party_of(row) if isinstance(row, AccountRow) else row.name for row in rows}


def _open_invoice(conn: Connection, tenant: str, party: str, currency: str, number: str) -> Invoice:
    found = invoices.find(conn, tenant, number)
    if found is None or found.status != "issued":
        raise UnknownName(f"There is no issued invoice {number!r}.")
    if (found.party, found.currency) != (party, currency):
        raise Refused(f"Invoice {number} is {found.party}'s, in {found.currency}: a payment of {party} in {currency} cannot pay it.")
    return found


def allocate(conn: Connection, payment: Payment, among: Sequence[Invoice], now_ms: int) -> list[tuple[str, int]]:
    """Allocates what is left of a payment to invoices, in their order, each up to what is open of it."""
    left, done = left_of(conn, payment), []
    open_of = payments.open_amounts(conn, [one.id for one in among])
    for one in among:
        part = min(left, one.total + open_of.get(one.id, 0))
        if part > 0:
            payments.allocate(conn, Allocation(derived_id("allocation", payment.id, one.id), payment.tenant, one.id, payment.id, part, now_ms))
            done.append((one.number, part))
            left -= part
    return done


def left_of(conn: Connection, payment: Payment) -> int:
    """What of a payment is allocated to no invoice, in the smallest unit."""
    return to_minor(payment.nanos, decimals_of(payment.currency)) - payments.allocated(conn, [payment.id]).get(payment.id, 0)


def prepay(conn: Connection, tenant: str, coming: Sequence[Invoice], now_ms: int) -> dict[str, int]:
    """Allocates what is left of earlier payments and credits to invoices that are being issued, after those of their parties that are open; returns
    what of each is paid by that, in the smallest unit."""
    left = _left(conn, tenant, sorted({one.party for one in coming}))
    paid: dict[str, int] = {}
    for (party, currency), sources in left.items():
        mine = [one for one in coming if (one.party, one.currency) == (party, currency) and one.total > 0]
        before = open_invoices(conn, tenant, party, currency) if mine else []
        open_of = payments.open_amounts(conn, [one.id for one in before])
        for one in (*before, *mine):
            done = _spend(conn, tenant, sources, one.id, one.total + open_of.get(one.id, 0), now_ms)
            if one in mine and done:
                paid[one.id] = done
    return paid


def _left(conn: Connection, tenant: str, parties: Sequence[str]) -> dict[tuple[str, str], list[list[Any]]]:
    """(party, currency) -> [id, what is left] of whatever may pay an invoice, oldest first."""
    sources = payments.sources(conn, tenant, parties)
    spent = payments.allocated(conn, [one.id for one in sources])
    found: dict[tuple[str, str], list[list[Any]]] = {}
    for one in sources:
        if (left := one.amount - spent.get(one.id, 0)) > 0:
            found.setdefault((one.party, one.currency), []).append([one.id, left])
    return found


def _spend(conn: Connection, tenant: str, sources: list[list[Any]], what: str, wanted: int, now_ms: int) -> int:
    """Allocates up to `wanted` of some sources to an invoice or refund, and takes it off them."""
    done = 0
    for one in sources:
        part = min(one[1], wanted - done)
        if part > 0:
            payments.allocate(conn, Allocation(derived_id("allocation", one[0], what), tenant, what, one[0], part, now_ms))
            one[1] -= part
            done += part
    return done


def open_invoices(conn: Connection, tenant: str, party: str = "", currency: str = "") -> list[Invoice]:
    """Issued invoices that are not paid in full, oldest first."""
    issued = [
        one for one in invoices.every(conn, tenant, party, status=("issued",)) if one.kind == "invoice" and currency in ("", one.currency)
    ]  # fmt: skip
    open_of = payments.open_amounts(conn, [one.id for one in issued])
    return sorted((one for one in issued if one.total + open_of.get(one.id, 0) > 0), key=lambda one: (one.issued_at_ms, one.number))


def settle_credit(conn: Connection, note: Invoice, now_ms: int) -> None:
    """A credit note that was issued pays its invoice, as far as that is open."""
    invoice = invoices.find(conn, note.tenant, note.credits)
    if invoice is None:
        return
    open_of = payments.open_amounts(conn, [invoice.id])
    part = min(-note.total, max(invoice.total + open_of.get(invoice.id, 0), 0))
    if part > 0:
        payments.allocate(conn, Allocation(derived_id("allocation", note.id, invoice.id), note.tenant, invoice.id, note.id, part, now_ms))


def refund(conn: Connection, tenant: str, party: str, amount: str, currency: str, reference: str, who: str, now_ms: int) -> Payment:
    """Records money that was paid back to a party: at most what it has paid too much."""
    tenant = tenant_of(conn, tenant)
    nanos = _amount(amount, currency)
    owed_to = -ledger.balance(conn, Account(tenant, "receivable", currency, party))
    payment = Payment(
        derived_id("payment", tenant, "refund", party, reference, currency, nanos), tenant, party, currency, "refund", -nanos, reference, "", "hand",
        audit.clean(who), now_ms,
    )  # fmt: skip
    if payments.find(conn, payment.id):
        return payment
    if nanos <= 0 or nanos > owed_to:
        raise Refused(f"{party} has {to_text(max(owed_to, 0))} {currency} too much with us: {amount} cannot be paid back.")
    payments.add(conn, payment)
    minor = to_minor(nanos, decimals_of(currency))
    _spend(conn, tenant, _left(conn, tenant, [party]).get((party, currency), []), payment.id, minor, now_ms)  # what is paid back pays no invoice
    ledger.post(
        conn, ledger.transfer("refund", payment.id, Account(tenant, "cash", currency), Account(tenant, "receivable", currency, party), nanos), now_ms
    )
    audit.note(conn, who, "recorded a refund", f"{tenant} {party}", f"{amount} {currency}, {reference}", now_ms)
    return payment


def write_off(conn: Connection, tenant: str, number: str, who: str, why: str, now_ms: int) -> int:
    """Gives up what is open of an invoice, and returns it in the smallest unit; again, nothing is left to give up."""
    tenant = tenant_of(conn, tenant)
    invoice = invoices.find(conn, tenant, number)
    if invoice is None or invoice.status != "issued" or invoice.kind != "invoice":
        raise UnknownName(f"There is no issued invoice {number!r}.")
    open_minor = invoice.total + payments.open_amounts(conn, [invoice.id]).get(invoice.id, 0)
    if open_minor <= 0:
        return 0
    nanos = minor_to_nanos(open_minor, decimals_of(invoice.currency))
    what = derived_id("write-off", invoice.id)
    receivable, lost = Account(tenant, "receivable", invoice.currency, invoice.party), Account(tenant, "written_off", invoice.currency)
    ledger.post(conn, ledger.transfer("write_off", what, receivable, lost, nanos), now_ms)
    payments.allocate(conn, Allocation(derived_id("allocation", what, invoice.id), tenant, invoice.id, what, open_minor, now_ms))
    audit.note(conn, who, "wrote off an invoice", f"{tenant} {number}", why, now_ms)
    return open_minor
