"""A carrier's bill against our calls: upload it, see every cause of the difference with its money, down to the calls, and what is worth a dispute."""

from __future__ import annotations

import io

import polars as pl
import streamlit as st

from assurance.disputes.evidence import explained
from assurance.disputes.thresholds import Worth
from books import BooksError, reading, reconciliations
from books.disputes import Dispute
from books.reconciliations import Reconciliation
from core.money import to_decimal, to_nanos
from core.text import amount, moment
from dashboards import uploads
from dashboards.acting import act
from dashboards.figures import cause_text, change_of, day, money_of
from dashboards.layout import answered, back, facts, heading, link, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table, tile
from dashboards.visit import Visit
from services import disputing, reconciling
from services.errors import ServiceError
from services.in_force import View
from services.periods import days_of
from services.reconciling import Outcome, ReconcileRequest
from warehouse import WarehouseError

SHOWN_CALLS, SHOWN_LINES = 100, 40
SIDES = {"a carrier's bill": "buy", "an account's claim": "sell"}


def reconciliation_page(visit: Visit) -> None:
    if not visit.allowed("money"):
        return
    title("Reconciliation", "a carrier's bill, or a customer's claim, against our calls; the causes add up to the difference")
    if not visit.tenant:
        quiet("Choose a tenant: a bill is one tenant's.")
        return
    if name := st.query_params.get("bill", ""):
        back("All bills", "bill")
        one_bill(visit, name)
        return
    if visit.person.name and visit.may("settle"):
        upload(visit)

    def read(_: object) -> list[Reconciliation]:
        with reading(visit.sources.engine()) as conn:
            return reconciliations.every(conn, visit.tenant)

    latest = visit.sources.asked(("bills", visit.tenant), read, fresh_ms=5_000)
    if not answered(latest, visit.now_ms, "Bills") or latest.value is None:
        return
    if not latest.value:
        quiet("No bill was compared yet.")
        return
    rows: list[tuple[str | Safe, ...]] = [
        (
            link(one.id, "reconciliation", visit.tenant, bill=one.id), one.party, "bill" if one.role == "buy" else "claim",
            one.invoice_no or "without a number", period_text(one), money_of(one.theirs, one.currency), money_of(one.ours, one.currency),
            difference(one), day(one.at_ms),
        )
        for one in latest.value
    ]  # fmt: skip
    head = ("reconciliation", "party", "what", "invoice", "period", "they say", "we say", "difference", "compared")
    st.html(table(head, rows, numbers_from=5))


def period_text(one: Reconciliation) -> str:
    return " to ".join(days_of((one.from_ms, one.to_ms), "UTC"))


def difference(one: Reconciliation) -> Safe:
    """What they say less what we say; red where it is against us."""
    return signed(to_nanos(one.theirs) - to_nanos(one.ours), one.currency, one.role)


def signed(nanos: int, currency: str, role: str) -> Safe:
    return change_of(nanos, currency, nanos > 0 if role == "buy" else nanos < 0)


# --- a file ---


def upload(visit: Visit) -> None:
    """Compare a bill; nothing is stored before a person has seen what was found."""

    def read(_: object) -> dict[str, list[str]]:
        with reading(visit.sources.engine()) as conn:
            return {kind: sorted(one.name for one in View(conn).every((kind,), {visit.tenant})) for kind in ("carriers", "accounts")}

    parties = visit.sources.asked(("parties", visit.tenant), read)
    if not answered(parties, visit.now_ms, "Carriers and accounts") or parties.value is None:
        return
    known = parties.value
    with st.expander("Compare a bill"):
        side = str(st.segmented_control("It is", list(SIDES), default="a carrier's bill", key="rf_bill_side") or "a carrier's bill")
        with st.form("rf_bill", border=False):
            party = st.selectbox("Whose", known["carriers" if SIDES[side] == "buy" else "accounts"], key="rf_bill_party", index=None)
            invoice = uploads.file_box("Their invoice", "rf_bill_invoice", "ringfence reconcile")
            cdrs = uploads.file_box("Their calls", "rf_bill_calls", "ringfence reconcile")
            period_box, zone_box = st.columns(2)
            with period_box:
                period = st.text_input("Period, in the agreement's time zone", key="rf_bill_period", placeholder="2026-10", max_chars=24)
            with zone_box:
                zone = st.text_input("Zone of times in their calls", key="rf_bill_zone", placeholder="as known or guessed", max_chars=40)
            again = st.checkbox("Although other files of this period were compared", key="rf_bill_replace")
            if st.form_submit_button("Compare", key="rf_bill_do", type="primary"):
                st.session_state.pop(uploads.BILL, None)
                asked = ReconcileRequest(
                    str(party or ""), period.strip(), "buy" if SIDES[side] == "buy" else "sell", invoice.getvalue() if invoice else None,
                    cdrs.getvalue() if cdrs else None, zone.strip(), replace=again,
                )  # fmt: skip
                compare(visit, asked)
        done = st.session_state.get(uploads.BILL)
        if isinstance(done, tuple) and done[0] == visit.tenant:
            outcome(visit, done[1], done[2])


def compare(visit: Visit, asked: ReconcileRequest) -> None:
    if not asked.party or not asked.period:
        message("Choose whose bill it is, and enter its period.")
        return
    try:
        with st.spinner("Reading and comparing; a bill of a million calls takes about a minute."):
            found = reconciling.run(visit.sources.installation, visit.tenant, asked, visit.person.name, visit.now_ms, keep=False)
    except (ServiceError, BooksError, WarehouseError) as wrong:
        message(str(wrong))
        return
    st.session_state[uploads.BILL] = visit.tenant, asked, found


def outcome(visit: Visit, asked: ReconcileRequest, done: Outcome) -> None:
    """How the files were read, what was found; and whether it is to be kept."""
    heading("How the files were read")
    st.html(facts(dict(done.reasons)))
    for finding in list(done.reconciled.findings)[:SHOWN_LINES]:
        if finding.level != "note":
            message(visit.mask(finding.text(), ()))
    totals(done.stored)
    causes(visit, done.stored, ())
    heading("By destination", "the largest difference first")
    rows: list[tuple[str | Safe, ...]] = [
        (row["destination"] or "(none)", f"{row['our_calls']:,}", f"{row['their_calls']:,}", amount(to_decimal(row["our_nanos"])),
         amount(to_decimal(row["their_nanos"])), signed(row["nanos"], done.stored.currency, done.stored.role))
        for row in done.reconciled.by_destination().head(SHOWN_LINES).iter_rows(named=True)
    ]  # fmt: skip
    unit = done.stored.currency
    st.html(table(("destination", "our calls", "theirs", f"our {unit}", f"their {unit}", "difference"), rows))
    if done.known:
        message(f"The same files were compared before, as {done.stored.id}.", done=True)
        return
    if st.button("Keep", key="rf_bill_keep", type="primary"):
        try:
            if not visit.may("settle"):
                raise PermissionError(f"you may not do this for {visit.tenant}")
            with st.spinner("Comparing once more, and storing."):
                kept = reconciling.run(visit.sources.installation, visit.tenant, asked, visit.person.name, visit.now_ms)
        except (ServiceError, BooksError, WarehouseError, PermissionError) as wrong:
            message(f"Not stored: {wrong}")
            return
        uploads.release()
        visit.sources.forget("bills")
        st.query_params["bill"] = kept.stored.id
        st.rerun()


# --- one ---


def one_bill(visit: Visit, name: str) -> None:
    """A stored comparison: totals, causes, calls that differ, and its disputes."""

    def read(_: object) -> tuple[Reconciliation, list[Worth]] | str:
        try:
            with reading(visit.sources.engine()) as conn:
                return disputing.assess(conn, visit.tenant, name)
        except ServiceError as wrong:
            return str(wrong)

    latest = visit.sources.asked(("bills", visit.tenant, name), read, wait_s=4.0, fresh_ms=60_000)
    if not answered(latest, visit.now_ms, "The comparison") or latest.value is None:
        return
    if isinstance(latest.value, str):
        message(latest.value)
        return
    one, verdicts = latest.value
    heading(one.id, f"{one.party}, invoice {one.invoice_no or 'without a number'}, {period_text(one)}, by {one.who}")
    totals(one)
    for words in (*one.summary.clock, *one.summary.findings[:SHOWN_LINES]):
        st.html(tag("div", visit.mask(words[:1].upper() + words[1:], ()), cls="rf-problem amber"))
    causes(visit, one, verdicts)
    if visit.person.name and visit.may("settle"):
        propose(visit, one, verdicts)
    differing(visit, one)


def totals(one: Reconciliation) -> None:
    nanos = to_nanos(one.theirs) - to_nanos(one.ours)
    more = "they charge more" if nanos > 0 else "they charge less" if nanos < 0 else "none"
    st.html(
        tag(
            "div",
            tile("They charge", amount(to_decimal(to_nanos(one.theirs))), one.currency, f"{one.summary.their_calls:,} calls in their file"),
            tile("Our calls cost", amount(to_decimal(to_nanos(one.ours))), one.currency, f"{one.summary.calls:,} calls of ours in the period"),
            tile("Difference", amount(abs(to_decimal(nanos))), one.currency, more, cls="waits" if nanos else ""),
            cls="rf-tiles",
        )
    )


def causes(visit: Visit, one: Reconciliation, verdicts: list[Worth] | tuple[()]) -> None:
    """Each cause with its money; they add up to the difference."""
    heading("Causes", "they add up to the difference, to the nano")
    said = {one_verdict.cause: one_verdict for one_verdict in verdicts}
    rows: list[tuple[str | Safe, ...]] = []
    for cause in sorted(one.summary.causes, key=lambda each: -abs(to_nanos(each.amount))):
        worth = said.get(cause.cause)
        verdict = f"{'dispute' if worth.is_worth else 'leave'}: {worth.why}" if worth else ""
        text = cause_text(cause.cause)
        name = link(text, "reconciliation", visit.tenant, bill=one.id, cause=cause.cause) if worth else text
        rows.append((name, explained(cause.cause), verdict, f"{cause.parts:,}", signed(to_nanos(cause.amount), one.currency, one.role)))
    rows.append((tag("b", "together"), "", "", "", difference(one)))
    st.html(table(("cause", "as it is put to them", "worth it", "parts", "difference"), rows, numbers_from=3))


def propose(visit: Visit, one: Reconciliation, verdicts: list[Worth]) -> None:
    worth = sum(verdict.is_worth for verdict in verdicts)
    if not worth:
        quiet("Nothing of it is worth a dispute.")
    elif st.button(f"Dispute what is worth it: {worth}", key="rf_bill_propose", type="primary"):
        made: list[Dispute] = []
        who, now_ms = visit.person.name, visit.now_ms
        if act(visit, "settle", lambda conn: made.extend(disputing.propose(conn, visit.tenant, one.id, who, now_ms)), ("disputes", "bills")):
            message(f"On the board: {len(made):,}.", done=True)
    st.html(tag("div", link("The dispute board", "disputes", visit.tenant), cls="rf-note"))


def differing(visit: Visit, one: Reconciliation) -> None:
    """The calls of a cause, both sides beside each other."""

    def read(_: object) -> pl.DataFrame:
        with reading(visit.sources.engine()) as conn:
            return pl.read_parquet(io.BytesIO(reconciliations.calls_of(conn, visit.tenant, one.id)))

    cause = st.query_params.get("cause", "")
    latest = visit.sources.asked(("bill calls", visit.tenant, one.id), read, fresh_ms=600_000)
    if not answered(latest, visit.now_ms, "Its calls") or latest.value is None:
        return
    found = latest.value.filter(pl.col("cause") == cause) if cause else latest.value
    note = f"{cause_text(cause) or 'every cause'}; {min(found.height, SHOWN_CALLS):,} of {found.height:,}, the largest difference first; UTC"
    heading("Calls that differ", note)
    if cause:
        back("Calls of every cause", "cause")
    if found.is_empty():
        quiet("No call differs by it: the whole bill does, or its lines.")
        return
    shown = found.sort(pl.col("difference_nanos").abs(), descending=True).head(SHOWN_CALLS)
    head = ("cause", "at", "to", "our s", "their s", f"our {one.currency}", f"their {one.currency}", "difference")
    st.html(table(head, [_call(visit, one, row) for row in shown.iter_rows(named=True)], numbers_from=3))


def _call(visit: Visit, one: Reconciliation, row: dict[str, object]) -> tuple[str | Safe, ...]:
    def cell(name: str) -> str:
        value = row[name]
        return "–" if not isinstance(value, int) else f"{to_decimal(value):f}" if name.endswith("nanos") else f"{value:,}"

    at_ms = row["their_at_ms"] if row["their_at_ms"] is not None else row["our_at_ms"]
    at = moment(at_ms, 0) if isinstance(at_ms, int) else "–"
    number = visit.mask(f"+{row['our_b_number'] or row['their_b_number'] or ''}", ())
    nanos = row["difference_nanos"]
    return (
        cause_text(str(row["cause"])), at, number, cell("our_charged_s"), cell("their_charged_s"), cell("our_nanos"), cell("their_nanos"),
        signed(nanos if isinstance(nanos, int) else 0, one.currency, one.role),
    )  # fmt: skip
