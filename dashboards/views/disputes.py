"""The dispute board: what is asked back, of whom, where it stands, and by when the next step is due."""

from __future__ import annotations

import streamlit as st

from assurance.disputes import life
from assurance.disputes.evidence import explained
from books import disputes, reading
from books.disputes import Dispute, Event
from core.money import to_decimal, to_nanos
from core.text import amount, span
from dashboards.acting import Prepared, act, download
from dashboards.figures import cause_text, day, money_of, when
from dashboards.layout import answered, back, facts, heading, link, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table, tile
from dashboards.visit import Visit
from services import disputing
from services.errors import ServiceError

WORDS = {
    "approve": "Approve", "send": "It was sent", "acknowledge": "They acknowledge it", "counter": "They offer another amount", "agree": "They agree",
    "reject": "They reject it", "escalate": "Escalate", "credit": "Their credit note came", "withdraw": "Withdraw", "expire": "Let it expire",
    "quantify": "Quantify",
}  # fmt: skip


def disputes_page(visit: Visit) -> None:
    if not visit.allowed("money"):
        return
    title("Disputes", "one cause of one bill each; every step is kept with who took it")
    if not visit.tenant:
        quiet("Choose a tenant: disputes are one tenant's.")
        return
    if name := st.query_params.get("dispute", ""):
        back("All disputes", "dispute")
        one_dispute(visit, name)
        return
    show = str(st.segmented_control("Show", ("open", "closed", "all"), default="open", key="show", bind="query-params",
        label_visibility="collapsed") or "all")  # fmt: skip

    def read(_: object) -> list[Dispute]:
        with reading(visit.sources.engine()) as conn:
            return disputes.every(conn, visit.tenant)

    latest = visit.sources.asked(("disputes", visit.tenant), read, fresh_ms=5_000)
    if not answered(latest, visit.now_ms, "Disputes") or latest.value is None:
        return
    totals(latest.value, visit.now_ms)
    found = [one for one in latest.value if show == "all" or one.is_open == (show == "open")]
    if not found:
        quiet("None. A dispute is made of a bill that was compared, on the page Reconciliation.")
        return
    rows: list[tuple[str | Safe, ...]] = [
        (
            link(one.id, "disputes", visit.tenant, dispute=one.id), one.party, cause_text(one.cause),
            tag("span", one.state, cls=f"rf-badge {_badge(one)}"),
            clock(one, visit.now_ms), f"{one.calls:,}", money_of(one.amount, one.currency), money_of(one.agreed, one.currency) if one.agreed else "–",
        )
        for one in sorted(found, key=lambda one: (not one.is_open, one.due_ms or 1 << 60, one.id))
    ]  # fmt: skip
    head = ("dispute", "of whom", "cause", "state", "next step due", "calls", "disputed", "offered or agreed")
    st.html(table(head, rows, numbers_from=5))


def _badge(one: Dispute) -> str:
    return "stands-good" if one.state == "credited" else "waits" if one.state in life.UNSENT else ""


def clock(one: Dispute, now_ms: int) -> str | Safe:
    """By when the next step must be taken; red where that is over."""
    if not one.due_ms or not one.is_open:
        return "–"
    left_ms = one.due_ms - now_ms
    length = span(abs(left_ms)) if abs(left_ms) < 2 * life.DAY_MS else f"{abs(left_ms) // life.DAY_MS} days"
    text = f"{day(one.due_ms)}, in {length}" if left_ms > 0 else f"{day(one.due_ms)}, {length} late"
    return tag("span", text, cls="" if left_ms > 0 else "loss")


def totals(found: list[Dispute], now_ms: int) -> None:
    """What is open and what was won, by currency, and how many are late."""
    tiles = []
    for currency in sorted({one.currency for one in found}):
        mine = [one for one in found if one.currency == currency]
        still, won = [one for one in mine if one.is_open], [one for one in mine if one.state == "credited"]
        late = sum(0 < one.due_ms < now_ms for one in still)
        tiles.append(tile("Open", amount(to_decimal(sum(one.nanos for one in still))), currency, f"{count(len(still))}, {late:,} late",
            cls="waits" if late else ""))  # fmt: skip
        tiles.append(tile("Credited", amount(to_decimal(sum(to_nanos(one.agreed or "0") for one in won))), currency, count(len(won))))
    if tiles:
        st.html(tag("div", *tiles, cls="rf-tiles"))


def count(number: int) -> str:
    return f"{number:,} dispute{'s' * (number != 1)}"


def one_dispute(visit: Visit, name: str) -> None:
    """A dispute: what is asked, what happened, its evidence, and the steps that are possible now."""
    try:
        with reading(visit.sources.engine()) as conn:
            one = disputing.of(conn, visit.tenant, name)
            events = disputes.history(conn, one.id)
    except ServiceError as wrong:
        message(str(wrong))
        return
    heading(one.id, f"{one.state}, {one.party}")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.html(
            facts(
                {
                    "why, as they are told": explained(one.cause),
                    "bill": link(one.reconciliation, "reconciliation", visit.tenant, bill=one.reconciliation,
                        cause=one.cause),
                    "disputed": money_of(one.amount, one.currency),
                    "offered or agreed": money_of(one.agreed, one.currency) if one.agreed else "nothing yet",
                    "credit note": one.credit_note, "calls": f"{one.calls:,}", "next step due": clock(one, visit.now_ms),
                }
            )
        )  # fmt: skip
        heading("What happened")
        head = ("when", "step", "state after it", "amount", "by", "why")
        st.html(table(head, [_event(visit, one, event) for event in events], numbers_from=9))
    with right:
        if visit.person.name and visit.may("export"):
            evidence(visit, one)
        if visit.person.name and visit.may("settle"):
            steps(visit, one)


def _event(visit: Visit, one: Dispute, event: Event) -> tuple[str | Safe, ...]:
    return when(event.at_ms), event.event, event.state, money_of(event.amount, one.currency), event.who, visit.mask(event.why, ())


def evidence(visit: Visit, one: Dispute) -> None:
    """The archive that the other side gets; taking it is written down."""

    def make() -> Prepared:
        with reading(visit.sources.engine()) as conn:  # a PDF is set in it: the dispatcher must not wait for that
            content = disputing.pack(conn, visit.tenant, one.id)
        return Prepared(content, f"{one.id}.zip", "application/zip", f"the evidence ({len(content) / 1024:,.0f} kB)")

    download(visit, "rf_dispute_pack", f"{visit.tenant}/{one.id}", "Prepare the evidence", make, "exported evidence")
    what = "The calls as CSV, a page as PDF, the facts as JSON, and their hashes. The last three digits of numbers are x."
    st.html(tag("div", what, cls="rf-note"))


def steps(visit: Visit, one: Dispute) -> None:
    """Every step that the state allows."""
    possible = [event for state, event in life.NEXT if state == one.state]
    if not possible:
        quiet("It is closed.")
        return
    with st.form("rf_dispute", border=True):
        # No step is chosen at first: a step is never taken back, and the list changes with the state.
        event = st.selectbox("What happened", possible, format_func=WORDS.__getitem__, key="rf_dispute_event", index=None, placeholder="the step")
        what = "what they offer, or what was agreed on"
        offered = st.text_input(f"Amount in {one.currency}", key="rf_dispute_amount", placeholder=what, max_chars=24)
        note = st.text_input("Number of the credit note", key="rf_dispute_note", max_chars=60)
        why = st.text_input("Note", key="rf_dispute_why", max_chars=300)
        if not st.form_submit_button("Record", key="rf_dispute_do", type="primary"):
            return
    if event is None:
        message("Nothing was changed: choose what happened.")
        return
    who, now_ms = visit.person.name, visit.now_ms
    if act(
        visit, "settle",
        lambda conn: disputing.happen(conn, visit.tenant, one.id, event, who, why, now_ms, offered.strip(), note.strip()), ("disputes",),
    ):  # fmt: skip
        st.rerun()
