"""What resellers have earned by the invoices of the parties under them; and the posting of what is new."""

from __future__ import annotations

import streamlit as st

from books import reading
from dashboards.acting import FAULTS
from dashboards.figures import money
from dashboards.layout import answered, heading, message, quiet
from dashboards.tags import Safe
from dashboards.tiles import table
from dashboards.visit import Visit
from services import statements
from services.statements import Owed

SHOWN = 20


def commissions(visit: Visit) -> None:
    def read(_: object) -> list[Owed]:
        with reading(visit.sources.engine()) as conn:
            return statements.owed_commissions(conn, visit.tenant)

    heading("Commissions", "posted for resellers by the invoices of the parties under them, less what was settled with them")
    if visit.person.name and visit.may("settle") and st.button("Post what is new", key="rf_commissions_do"):
        post(visit)
    latest = visit.sources.asked(("invoices", visit.tenant, "commissions"), read, fresh_ms=30_000)
    if not answered(latest, visit.now_ms, "Commissions") or latest.value is None:
        return
    if not latest.value:
        quiet("Nothing is posted for any reseller.")
        return
    rows: list[tuple[str | Safe, ...]] = [(one.reseller, money(one.nanos, one.currency)) for one in latest.value]
    st.html(table(("reseller", "owed to it"), rows, numbers_from=1))


def post(visit: Visit) -> None:
    """Once more it is harmless: what an invoice earned is posted once."""
    try:
        if not visit.may("settle"):
            raise PermissionError(f"you may not do this for {visit.tenant}")
        with st.spinner("Reading what the issued invoices came to."):
            done = statements.commissions(visit.sources.installation, visit.tenant, visit.person.name, visit.now_ms)
    except FAULTS as wrong:
        message(f"Not posted: {str(wrong).rstrip('.')}.")
        return
    visit.sources.forget("invoices")
    for one in done[:SHOWN]:
        message(f"{one.reseller} earns {money(one.nanos, one.currency)} by {one.number} of {one.party}.", done=True)
    if len(done) > SHOWN or not done:
        message(f"{len(done):,} commissions are new." if done else "No commission is new.", done=True)
