"""One invoice: its lines down to the calls, the page as its customer gets it, its files, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import streamlit as st

from books import Connection, reading
from books.invoices import Invoice
from core.money import to_text
from core.spreadsheet import csv_of
from dashboards.acting import Prepared, act, download
from dashboards.figures import day, minor
from dashboards.layout import answered, back, facts, heading, link, message
from dashboards.tags import Safe, joined, tag
from dashboards.tiles import table
from dashboards.visit import Visit
from services import invoice_files, invoice_pdf, invoicing, payments
from services.errors import ServiceError

SHOWN_CALLS = 100
OF_CALLS = ("calls", "late")
"""Kinds of lines that are sums of calls."""
DONE = "rf_invoice_done"
"""Session state: what was done last, shown once."""


def one_invoice(visit: Visit, name: str) -> None:
    """One invoice: the first page as it is printed, its lines, and what can be done with it."""
    with reading(visit.sources.engine()) as conn:
        try:
            one = invoicing.find(conn, visit.tenant, name)
        except ServiceError as wrong:
            message(str(wrong))
            return
    heading(f"{one.kind.replace('_', ' ').capitalize()} {one.number or 'without a number yet'}", f"{one.status}, {one.party}")
    if done := st.session_state.pop(DONE, ""):
        message(done, done=True)
    left, right = st.columns([3, 2], gap="medium")
    with right:
        st.html(
            facts(
                {
                    "customer": one.party, "agreement": one.agreement, "period": f"{one.from_day} to before {one.until_day}",
                    "net": minor(one.net, one.currency), "tax": minor(one.tax, one.currency), "total": minor(one.total, one.currency),
                    "due": day(one.due_ms) if one.due_ms else "set when it is issued", "made by": one.who,
                }
            )
        )  # fmt: skip
        files(visit, one)
        if visit.person.name and visit.may("settle"):
            actions(visit, one)
    with left:
        of_lines, printed = st.tabs(["Lines", "Printed page"])
        with of_lines:
            lines(visit, one)
        with printed:
            preview(visit, one)


def preview(visit: Visit, one: Invoice) -> None:
    """The first page, as the PDF has it."""

    def draw(_: object) -> bytes:
        style = invoice_pdf.style_of(invoice_files.brands_of(visit.sources.installation), one.read().issuer.brand)
        return invoice_pdf.render(invoice_pdf.data_of(one, one.read(), style), style, image=True)

    latest = visit.sources.asked(("printed", visit.tenant, one.id, one.status), draw, wait_s=4.0, fresh_ms=600_000)
    if answered(latest, visit.now_ms, "The printed page") and latest.value is not None:
        st.image(latest.value, width="stretch")


def lines(visit: Visit, one: Invoice) -> None:
    """Its lines; one of calls opens them."""
    if open_line := st.query_params.get("line", ""):
        calls_of_line(visit, one, open_line)
        return
    rows: list[tuple[str | Safe, ...]] = []
    for number, each in enumerate(one.read().lines):
        text: str | Safe = each.text or each.kind
        if each.kind in OF_CALLS and one.kind == "invoice":
            text = link(each.text, "invoices", visit.tenant, invoice=one.number or one.id, line=f"{number}")
        late = " (of an earlier period)" if each.kind == "late" else ""
        per_min = f"{to_text(each.per_min_nanos)} {one.currency}" if each.calls else ""
        calls, minutes = (f"{each.calls:,}", f"{each.charged_s / 60:,.1f}") if each.calls else ("", "")
        name = joined(text, late) if late else text
        rows.append((name, calls, minutes, per_min, minor(each.amount, one.currency)))
    st.html(tag("div", "Net amounts; a line of calls opens them.", cls="rf-note"))
    st.html(table(("line", "calls", "minutes", "per minute", "net"), rows))


def calls_of_line(visit: Visit, one: Invoice, number: str) -> None:
    """The calls that a line is the sum of, the dearest first."""
    known = one.read().lines
    place = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else len(known)
    if place >= len(known) or known[place].kind not in OF_CALLS:
        message(f"This invoice has no line of calls {number[:20]!r}.")
        return
    line = known[place]

    def read(_: object) -> pl.DataFrame:
        with reading(visit.sources.engine()) as conn:
            states = invoice_files.states_of(conn, one)
        return invoice_files.calls(visit.sources.client().connected(), one, *states)

    latest = visit.sources.asked(("invoice calls", visit.tenant, one.id), read, wait_s=4.0, fresh_ms=600_000)
    back("All lines", "line")
    if not answered(latest, visit.now_ms, "Its calls") or latest.value is None:
        return
    found = latest.value.filter(pl.col("destination") == line.text, pl.col("per_min_nanos") == line.per_min_nanos)
    heading(f"Calls of {line.text}", f"{min(found.height, SHOWN_CALLS):,} of {found.height:,} charges, the largest first; UTC, without tax")
    rows: list[tuple[str | Safe, ...]] = [
        (
            row["at"].replace("T", " ").removesuffix("Z"), row["account"], visit.mask(f"+{row['a_number']}" if row["a_number"] else "withheld", ()),
            visit.mask(f"+{row['b_number']}", ()), f"{row['charged_s']:,} s", f"{row['amount'].normalize():f} {row['currency']}",
        )
        for row in found.sort(pl.col("amount").abs(), descending=True).head(SHOWN_CALLS).iter_rows(named=True)
    ]  # fmt: skip
    st.html(table(("charged by, UTC", "account", "caller", "called", "charged", "amount"), rows, numbers_from=4))


def files(visit: Visit, one: Invoice) -> None:
    """The document and its calls as files, for who may take rows out; that is written down."""
    if not visit.may("export") or not visit.person.name:
        return
    name, of = one.number or one.id, f"{visit.tenant} {one.number or one.id}"

    def pdf() -> Prepared:
        return Prepared(dict(invoice_files.files(visit.sources.installation, one))[".pdf"], f"{name}.pdf", "application/pdf", "the PDF")

    def calls() -> Prepared:
        with reading(visit.sources.engine()) as conn:
            states = invoice_files.states_of(conn, one)
        frame = invoice_files.calls(visit.sources.client().connected(), one, *states)
        return Prepared(csv_of(frame), f"{name}-calls.csv", "text/csv", f"{frame.height:,} calls as CSV")

    if one.status == "issued":
        download(visit, "rf_invoice_pdf", of, "Prepare the PDF", pdf, "took an invoice")
    if one.kind == "invoice":
        download(visit, "rf_invoice_calls", of, "Prepare its calls", calls, "exported calls")


def actions(visit: Visit, one: Invoice) -> None:
    """Approve, issue, credit, record a payment; each by whom and why is in the audit log."""
    who = visit.person.name
    if one.status == "draft" and st.button("Approve", key="rf_invoice_approve", type="primary"):
        acted(visit, lambda conn: invoicing.approve(conn, visit.tenant, [one.id], who, "on the page", visit.now_ms), "It is approved.")
    if one.status == "approved" and st.button("Issue", key="rf_invoice_issue", type="primary"):
        acted(visit, lambda conn: invoicing.issue(conn, visit.tenant, [one.id], who, visit.now_ms), "It is issued, and has its number.")
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
                acted(visit, lambda conn: invoicing.credit(conn, visit.tenant, one.id, part.strip(), who, why, visit.now_ms), done)
    with st.popover("Record a payment"), st.form("rf_payment", border=False):
        paid = st.text_input(f"Amount in {one.currency}", key="rf_payment_amount", max_chars=24)
        reference = st.text_input("Reference of the bank", key="rf_payment_reference", max_chars=100)
        value_day = st.text_input("Value date", key="rf_payment_day", placeholder="2026-11-27", max_chars=10)
        if st.form_submit_button("Record", key="rf_payment_do"):
            acted(
                visit, lambda conn: payments.record(
                    conn, visit.tenant, one.party, paid.strip(), one.currency, reference.strip(), value_day.strip(), who, visit.now_ms, [one.number]
                ), "The payment is recorded.",
            )  # fmt: skip


def acted(visit: Visit, do: Callable[[Connection], object], done: str) -> None:
    """Do it, and say so on the page as it is drawn after it."""
    if act(visit, "settle", do, ("invoices",)):
        st.session_state[DONE] = done
        st.rerun()
