"""Invoices: made of what is posted, looked at as their customer will see them, approved, issued, credited and paid."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import streamlit as st

from assurance.rounding import decimals_of
from books import Connection, Unavailable, invoices, reading
from books.invoices import Invoice
from core.spreadsheet import csv_of
from core.text import amount
from dashboards.layout import answered, back, facts, heading, link, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table, tile
from dashboards.views.calls import at
from dashboards.views.decks import day
from dashboards.visit import Visit
from services import invoice_files, invoice_pdf, invoicing, payments, people, posting
from services.errors import ServiceError
from services.subjects import Ask
from warehouse import WarehouseError

SHOWN = 100
STATUSES = ("draft", "approved", "issued")


def invoices_page(visit: Visit) -> None:
    if not visit.allowed("money"):
        return
    title("Invoices", "a draft is approved, then issued with its number; an issued one is never changed, only credited")
    if not visit.tenant:
        quiet("Choose a tenant: invoices are one tenant's.")
        return
    if name := st.query_params.get("invoice", ""):
        back("All invoices", "invoice")
        one_invoice(visit, name)
        return
    show = st.segmented_control("Show", ("all", *STATUSES), default="all", key="show", bind="query-params", label_visibility="collapsed")

    def read(_: object) -> list[Invoice]:
        with reading(visit.sources.engine()) as conn:
            return invoices.every(conn, visit.tenant)

    latest = visit.sources.asked(("invoices", visit.tenant), read, fresh_ms=5_000)
    if not answered(latest, visit.now_ms, "Invoices") or latest.value is None:
        return
    totals(latest.value)
    posted(visit)
    found = [one for one in reversed(latest.value) if show not in STATUSES or one.status == show]
    if not found:
        quiet("None. `ringfence invoices run` makes the drafts of the periods that have ended.")
        return
    rows: list[tuple[str | Safe, ...]] = [
        (
            link(one.number or one.id[:16], "invoices", visit.tenant, invoice=one.number or one.id), one.kind.replace("_", " "), one.party,
            f"{one.from_day} to {one.until_day}", tag("span", one.status, cls="rf-badge " + ("waits" if one.status == "draft" else "")),
            day(one.due_ms) if one.due_ms else "", money(one, one.net), money(one, one.total),
        )
        for one in found[:SHOWN]
    ]  # fmt: skip
    head = ("number", "what", "customer", "period, the last day not in it", "state", "due", "net", "with tax")
    st.html(tag("div", table(head, rows, numbers_from=6), cls="rf-scroll"))


def posted(visit: Visit) -> None:
    """How far the ledger is, which a run makes its drafts of."""

    def read(ask: Ask) -> posting.Reached:
        with reading(visit.sources.engine()) as conn:
            return posting.reached(ask, conn)

    latest = visit.sources.asked(("posted",), read, fresh_ms=15_000)
    if latest.value is not None:
        now = latest.value
        last = f"The ledger's newest batch is {now.batch:,}, of {at(now.at_ms)}" if now.batch else "Nothing is posted to the ledger yet"
        quiet(f"{last}; {now.behind:,} stored records are not posted yet." if now.behind else f"{last}; every stored charge is posted.")


def money(one: Invoice, minor: int) -> str:
    """An amount in the smallest unit of the invoice's currency, as people read it."""
    decimals = decimals_of(one.currency)
    return f"{amount(Decimal(minor).scaleb(-decimals), decimals)} {one.currency}"


def totals(found: list[Invoice]) -> None:
    """What waits, and what was issued, by currency."""
    tiles = []
    for status in STATUSES:
        mine = [one for one in found if one.status == status]
        for currency in sorted({one.currency for one in mine}):
            of = [one for one in mine if one.currency == currency]
            tiles.append(tile(status.capitalize(), money(of[0], sum(one.total for one in of)), "with tax", f"{len(of):,} documents"))
    if tiles:
        st.html(tag("div", *tiles, cls="rf-tiles"))


def one_invoice(visit: Visit, name: str) -> None:
    """One invoice: the first page as it is printed, its lines, and what can be done with it."""
    with reading(visit.sources.engine()) as conn:
        try:
            one = invoicing.find(conn, visit.tenant, name)
        except ServiceError as wrong:
            message(str(wrong))
            return
    heading(f"{one.kind.replace('_', ' ').capitalize()} {one.number or 'without a number yet'}", f"{one.status}, {one.party}")
    left, right = st.columns([3, 2], gap="medium")
    with right:
        st.html(
            facts(
                {
                    "customer": one.party, "agreement": one.agreement, "period": f"{one.from_day} to before {one.until_day}",
                    "net": money(one, one.net),
                    "tax": money(one, one.tax), "total": money(one, one.total), "due": day(one.due_ms) if one.due_ms else "when it is issued",
                    "made by": one.who,
                }
            )
        )  # fmt: skip
        calls(visit, one)
        if visit.person.name and visit.may("settle"):
            actions(visit, one)
    with left:
        preview(visit, one)


def preview(visit: Visit, one: Invoice) -> None:
    """The first page, as the PDF has it."""

    def draw(_: object) -> bytes:
        style = invoice_pdf.style_of(invoice_files.brands_of(visit.sources.installation), one.read().issuer.brand)
        return invoice_pdf.render(invoice_pdf.data_of(one, one.read(), style), style, image=True)

    latest = visit.sources.asked(("printed", visit.tenant, one.id, one.status), draw, wait_s=4.0, fresh_ms=600_000)
    if answered(latest, visit.now_ms, "The printed page") and latest.value is not None:
        st.image(latest.value, width="stretch")


def calls(visit: Visit, one: Invoice) -> None:
    """The calls that the invoice was made of, for who may take rows out; that is written down."""
    if one.kind != "invoice" or not visit.may("export") or not visit.person.name:
        return
    if not st.button("Prepare its calls", key="rf_invoice_calls"):
        return
    try:
        with visit.books("export") as conn:
            states = invoice_files.states_of(conn, one)
            people.note_access(conn, visit.person.name, "exported calls", f"{visit.tenant} {one.number or one.id}", visit.now_ms)
        with st.spinner("Reading its calls."):
            frame = invoice_files.calls(visit.sources.client().connected(), one, *states)
    except (ServiceError, Unavailable, PermissionError, WarehouseError) as wrong:
        message(f"Not done: {wrong}")
        return
    content = csv_of(frame)
    st.download_button(f"Save {frame.height:,} calls as CSV", content, f"{one.number or one.id}-calls.csv", "text/csv", key="rf_invoice_save")


def actions(visit: Visit, one: Invoice) -> None:
    """Approve, issue, credit, record a payment; each by whom and why is in the audit log."""
    who = visit.person.name
    if one.status == "draft" and st.button("Approve", key="rf_invoice_approve", type="primary"):
        act(visit, lambda conn: invoicing.approve(conn, visit.tenant, [one.id], who, "on the page", visit.now_ms), "It is approved.")
    if one.status == "approved" and st.button("Issue", key="rf_invoice_issue", type="primary"):
        act(visit, lambda conn: invoicing.issue(conn, visit.tenant, [one.id], who, visit.now_ms), "It is issued, and has its number.")
    if one.status != "issued" or one.kind != "invoice":
        return
    with st.popover("Credit it"), st.form("rf_credit", border=False):
        part = st.text_input(f"Net amount in {one.currency}", key="rf_credit_amount", placeholder="all that is left of it", max_chars=24)
        why = st.text_input("Reason, printed on the credit note", key="rf_credit_why", max_chars=200)
        if st.form_submit_button("Credit", key="rf_credit_do"):
            if not why.strip():
                message("Enter a reason.")
            else:
                done = "A credit note is approved; issue it."
                act(visit, lambda conn: invoicing.credit(conn, visit.tenant, one.id, part.strip(), who, why, visit.now_ms), done)
    with st.popover("Record a payment"), st.form("rf_payment", border=False):
        paid = st.text_input(f"Amount in {one.currency}", key="rf_payment_amount", max_chars=24)
        reference = st.text_input("Reference of the bank", key="rf_payment_reference", max_chars=100)
        value_day = st.text_input("Value date", key="rf_payment_day", placeholder="2026-11-27", max_chars=10)
        if st.form_submit_button("Record", key="rf_payment_do"):
            act(
                visit, lambda conn: payments.record(
                    conn, visit.tenant, one.party, paid.strip(), one.currency, reference.strip(), value_day.strip(), who, visit.now_ms, [one.number]
                ), "The payment is recorded.",
            )  # fmt: skip


def act(visit: Visit, do: Callable[[Connection], object], done: str) -> None:
    """Do it in one transaction; what is wrong is said, and nothing half done."""
    try:
        with visit.books("settle") as conn:
            do(conn)
    except (ServiceError, Unavailable, PermissionError, invoices.Refused, ValueError) as wrong:
        message(f"Nothing was changed: {wrong}")
        return
    visit.sources.forget("invoices")
    message(done, done=True)
    st.rerun()
