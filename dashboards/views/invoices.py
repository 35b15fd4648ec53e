"""Invoices: made of what is posted, looked at as their customer will see them, approved, issued, credited and paid."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from books import invoices, reading
from books.invoices import Invoice
from dashboards.acting import FAULTS
from dashboards.figures import at, day, minor
from dashboards.layout import answered, back, heading, link, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table, tile
from dashboards.views.commissions import commissions
from dashboards.views.invoice import one_invoice
from dashboards.visit import Visit
from services import invoicing, posting, statements
from services.statements import Aged
from services.subjects import Ask

SHOWN, SHOWN_FINDINGS = 100, 20
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
    if visit.person.name and visit.may("settle"):
        run(visit)
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
        quiet("None. A run makes the drafts of the periods that have ended.")
        ageing(visit)
        commissions(visit)
        return
    rows: list[tuple[str | Safe, ...]] = [
        (
            link(one.number or one.id[:16], "invoices", visit.tenant, invoice=one.number or one.id), one.kind.replace("_", " "), one.party,
            f"{one.from_day} to {one.until_day}", tag("span", one.status, cls="rf-badge " + ("waits" if one.status == "draft" else "")),
            day(one.due_ms) if one.due_ms else "", minor(one.net, one.currency), minor(one.total, one.currency),
        )
        for one in found[:SHOWN]
    ]  # fmt: skip
    head = ("number", "what", "customer", "period, the last day not in it", "state", "due", "net", "with tax")
    st.html(table(head, rows, numbers_from=6))
    if len(found) > SHOWN:
        quiet(f"The newest {SHOWN} of {len(found):,}: `ringfence invoices list` has all.")
    ageing(visit)
    commissions(visit)


def posted(visit: Visit) -> None:
    """How far the ledger is, which a run makes its drafts of."""

    def read(ask: Ask) -> posting.Reached:
        with reading(visit.sources.engine()) as conn:
            return posting.reached(ask, conn)

    latest = visit.sources.asked(("posted",), read, fresh_ms=15_000)
    if answered(latest, visit.now_ms, "How far the ledger is") and latest.value is not None:
        now = latest.value
        last = f"The ledger's newest batch is {now.batch:,}, of {at(now.at_ms)}" if now.batch else "Nothing is posted to the ledger yet"
        quiet(f"{last}; {now.behind:,} stored records are not posted yet." if now.behind else f"{last}; every stored charge is posted.")


def totals(found: list[Invoice]) -> None:
    """What waits, and what was issued, by currency."""
    tiles = []
    for status in STATUSES:
        mine = [one for one in found if one.status == status]
        for currency in sorted({one.currency for one in mine}):
            of = [one for one in mine if one.currency == currency]
            number = f"{len(of):,} document{'s' * (len(of) != 1)}"
            tiles.append(tile(status.capitalize(), minor(sum(one.total for one in of), currency), "with tax", number))
    if tiles:
        st.html(tag("div", *tiles, cls="rf-tiles"))


def run(visit: Visit) -> None:
    """The drafts of all periods that have ended, of what is posted now. The same run again makes nothing twice."""
    first_of_month = f"{datetime.fromtimestamp(visit.now_ms / 1000, UTC).replace(day=1):%Y-%m-%d}"
    with st.popover("Make the drafts"), st.form("rf_invoice_run", border=False):
        what = "Periods that have ended before this day"
        until = st.text_input(what, first_of_month, key="rf_invoice_run_until", max_chars=10)
        if not st.form_submit_button("Make the drafts", key="rf_invoice_run_do", type="primary"):
            return
        try:
            if not visit.may("settle"):
                raise PermissionError(f"you may not do this for {visit.tenant}")
            with st.spinner("Reading what is posted; a thousand invoices take about half a minute."):
                made = invoicing.run(visit.sources.installation, visit.tenant, until.strip(), visit.person.name, visit.now_ms)
        except FAULTS as wrong:
            message(f"Not made: {wrong}")
            return
        visit.sources.forget("invoices")
        message(f"The run until {until.strip()} has {len(made.drafts):,} drafts.", done=True)
        for text in (*made.packages, *made.findings)[:SHOWN_FINDINGS]:
            message(str(text))


def ageing(visit: Visit) -> None:
    """What each customer owes, by how long it is overdue."""

    def read(_: object) -> list[Aged]:
        with reading(visit.sources.engine()) as conn:
            return statements.ageing(conn, visit.tenant, visit.now_ms)

    latest = visit.sources.asked(("invoices", visit.tenant, "ageing"), read, fresh_ms=30_000)
    heading("Owed", "issued and not paid, with tax, by days overdue")
    if not answered(latest, visit.now_ms, "What is owed") or latest.value is None:
        return
    if not latest.value:
        quiet("Nothing is owed.")
        return
    rows: list[tuple[str | Safe, ...]] = [
        (one.party, *(minor(each, one.currency) if each else "–" for each in one.amounts), minor(one.total, one.currency)) for one in latest.value
    ]
    head = ("customer", "not due yet", "1 to 30 days", "31 to 60", "61 to 90", "more", "in all")
    st.html(table(head, rows))
