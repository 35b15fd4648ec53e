"""What a customer sees of the own account: whose accounts it has, what it owes, what is due, its calls; and under which brand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from assurance.credit import limit_of
from books import Connection, invoices, ledger, payments
from books.invoices import Invoice
from core.billing import LegalEntity
from core.config import Agreement, agreement_of, party_of
from core.spreadsheet import csv_of
from services import call_desk, invoice_pdf
from services import payments as open_payments
from services.in_force import View
from services.invoice_files import BRANDS
from services.invoice_pdf import NotPrinted, Style
from services.subjects import Ask

MOST_CALLS = 50_000
"""Of an export."""


class Balance(NamedTuple):
    """What a customer owes in one currency, in nanos: invoiced and not paid, and posted since the last invoice. `limit` None = no credit limit."""

    currency: str
    receivable: int
    unbilled: int
    limit: int | None


class Due(NamedTuple):
    """An invoice that is not paid in full. `open`: in the currency's smallest unit."""

    invoice: Invoice
    open: int


def accounts_of(conn: Connection, tenant: str, party: str) -> tuple[str, ...]:
    """The accounts of a customer, by the newest config."""
    return tuple(sorted(row.name for row in View(conn).every(("accounts",), {tenant}) if party_of(row) == party))


def balances(conn: Connection, tenant: str, party: str) -> list[Balance]:
    """What the customer owes, by currency."""
    view = View(conn)
    agreements: dict[str, dict[str, Agreement]] = {}
    for row in view.every(("accounts",), {tenant}):
        agreement = agreement_of(row, view.find) if party_of(row) == party else None
        if agreement is not None:
            agreements.setdefault(agreement.currency, {})[agreement.name] = agreement
    limits = {currency: limit_of(own.values()) for currency, own in agreements.items()}
    sums: dict[str, dict[str, int]] = {}
    for one in ledger.balances(conn, tenant, party, ("receivable", "unbilled")):
        of = sums.setdefault(one.account.currency, {"receivable": 0, "unbilled": 0})
        of[one.account.kind] += one.nanos
    return [Balance(currency, of["receivable"], of["unbilled"], limits.get(currency)) for currency, of in sorted(sums.items())]


def due(conn: Connection, tenant: str, party: str) -> list[Due]:
    """Invoices that are not paid in full, the one that is due first first."""
    found = open_payments.open_invoices(conn, tenant, party)
    allocated = payments.open_amounts(conn, [one.id for one in found])
    return sorted((Due(one, one.total + allocated.get(one.id, 0)) for one in found), key=lambda one: one.invoice.due_ms)


def documents(conn: Connection, tenant: str, party: str) -> list[Invoice]:
    """Issued invoices and credit notes, the newest first; never a draft."""
    return invoices.every(conn, tenant, party, status=("issued",))[::-1]


def document(conn: Connection, tenant: str, party: str, number: str) -> Invoice | None:
    """One of them by its number; another customer's is not there."""
    one = invoices.find(conn, tenant, number)
    return one if one is not None and one.number == number and one.party == party and one.status == "issued" else None


def calls(ask: Ask, tenant: str, account: str, number: str, from_ms: int, most: int) -> list[dict[str, Any]]:
    """The newest calls of an account; `number`: only those from or to it. What they were bought for is not in them."""
    subject = {"account": account} | ({"number": number} if number else {})
    shown = ("answer_at", "end_at", "a_number", "b_number", "destination", "duration_ms", "billable_s", "sell", "sell_currency", "disposition")
    return [{name: row[name] for name in shown} for row in call_desk.search(ask, subject, tenant, from_ms, most)]


def calls_csv(rows: list[Mapping[str, Any]]) -> bytes:
    """Calls as a file that a spreadsheet opens and does not compute."""
    table = [
        (f"{row['end_at']:%Y-%m-%d %H:%M:%S} UTC" if row["end_at"] else "", row["a_number"], row["b_number"], row["destination"],
         (row["duration_ms"] or 0) / 1_000, row["billable_s"], "" if row["sell"] is None else f"{row['sell']:f}", row["sell_currency"])
        for row in rows
    ]  # fmt: skip
    columns = ["ended", "a_number", "b_number", "destination", "talk_s", "charged_s", "price", "currency"]
    return csv_of(pl.DataFrame(table, schema=columns, orient="row", infer_schema_length=None))


# --- brands ---


def style_of_host(home: str, host: str) -> Style | None:
    """The brand whose portal opens at a host name; None = none, and the desk opens there."""
    folder = Path(home) / BRANDS
    for file in sorted(folder.glob("*/brand.json")) if host else ():
        try:
            style = invoice_pdf.style_of(folder, file.parent.name)
        except NotPrinted:
            continue
        if host in style.brand.hosts:
            return style
    return None


def title_of_host(home: str, host: str) -> str:
    """The name of the portal at a host name, "" = the desk opens there."""
    style = style_of_host(home, host)
    return "" if style is None else style.brand.title or (style.folder.name if style.folder else host)


def style_of_tenant(conn: Connection, home: str, tenant: str) -> Style:
    """The brand of a tenant's only legal entity; the plain one where there are several, or its files cannot be read."""
    entities = [row for row in View(conn).every(("legal_entities",), {tenant}) if isinstance(row, LegalEntity)]
    try:
        return invoice_pdf.style_of(Path(home) / BRANDS, entities[0].brand if len(entities) == 1 else "")
    except NotPrinted:
        return Style()
