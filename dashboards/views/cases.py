"""Cases: alerts that belong together, with their timeline, notes, the money lost and saved, and the evidence as files."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import streamlit as st

from books import Connection, alerts, reading
from books import cases as stored
from books.cases import Case
from core.detector_names import detector_text
from core.money import to_decimal
from core.orders import Finding
from core.text import amount
from dashboards.acting import Prepared, act, download
from dashboards.figures import day, when
from dashboards.layout import again, answered, back, heading, link, message, quiet, title
from dashboards.rendering import ranges_of, title_of
from dashboards.tags import Safe, tag
from dashboards.tiles import table, tile
from dashboards.visit import Visit
from services import cases
from services.cases import CaseFile

MOST_FREE = 100
BOTH = ("cases", "case")
"""The questions whose answers an action changes."""


class Listed(NamedTuple):
    """A case in the list, and how many alerts and how much money it has."""

    case: Case
    alerts: int
    money: dict[str, Decimal]


class Board(NamedTuple):
    """The cases, and the newest alerts that are in none."""

    cases: list[Listed]
    free: list[Finding]


def cases_page(visit: Visit) -> None:
    if not visit.allowed("fraud"):
        return
    title("Cases", "alerts that belong together; every step is kept with who took it")
    if name := st.query_params.get("case", ""):
        back("All cases", "case")
        one_case(visit, name)
        return
    latest = visit.sources.asked(("cases", visit.tenant), lambda _: board(visit), fresh_ms=3_000)
    if not answered(latest, visit.now_ms, "Cases") or latest.value is None:
        return
    if visit.tenant and visit.person.name and visit.may("block"):
        new(visit, latest.value.free)
    if not latest.value.cases:
        quiet("No case yet. Whoever may block opens one from alerts.")
        return
    rows: list[tuple[str | Safe, ...]] = [
        (
            link(visit.mask(one.case.title, ()), "cases", one.case.tenant, case=one.case.id), one.case.tenant, state(one.case), one.case.who,
            day(one.case.at_ms), f"{one.alerts:,}", money(one.money),
        )
        for one in latest.value.cases
    ]  # fmt: skip
    head = ("case", "tenant", "state", "opened by", "opened", "alerts", "money of its alerts")
    st.html(table(head, rows, numbers_from=5))


def board(visit: Visit) -> Board:
    with reading(visit.sources.engine()) as conn:
        every = stored.every(conn, visit.tenant)
        of = stored.alerts_of(conn, [one.id for one in every])
        listed = []
        for one in every:
            found = [finding for each in of.get(one.id, []) if (finding := alerts.find(conn, each))]
            listed.append(Listed(one, len(of.get(one.id, [])), cases.money_of(found)))
        newest = alerts.last(conn, MOST_FREE, visit.tenant)
        taken = stored.of_alerts(conn, [one.finding_id for one in newest])
    return Board(listed, [one for one in newest if one.finding_id not in taken])


def money(found: dict[str, Decimal]) -> str:
    return ", ".join(f"{amount(value)} {currency}" for currency, value in found.items()) or "–"


def state(one: Case) -> Safe:
    return tag("span", one.state, cls=f"rf-badge {'waits' if one.state == 'open' else ''}")


def name_of(visit: Visit, finding: Finding) -> str:
    """An alert in one line: who calls where, how much, when."""
    name = title_of(finding)
    worth = f"{amount(to_decimal(finding.exposure_nanos))} {finding.currency}, " if finding.exposure_nanos else ""
    return f"{visit.mask(name, ranges_of(finding.subject, name))} · {worth}{day(finding.detected_at_ms)}"


def new(visit: Visit, free: list[Finding]) -> None:
    """A case of alerts that are in none."""
    with st.popover("Open a case"), st.form("rf_case", border=False):
        names = {one.finding_id: name_of(visit, one) for one in free}
        chosen = st.multiselect("Alerts, the newest first", list(names), format_func=lambda each: names.get(each, each), key="rf_case_alerts")
        text = st.text_input("What it is about", key="rf_case_title", max_chars=stored.MAX_TITLE)
        if not st.form_submit_button("Open", key="rf_case_do", type="primary"):
            return
    made: list[Case] = []
    who = visit.person.name
    if act(visit, "block", lambda conn: made.append(cases.open_case(conn, visit.tenant, text, chosen, who, visit.now_ms)), BOTH):
        st.query_params["case"] = made[0].id
        st.rerun()


# --- one ---


def one_case(visit: Visit, name: str) -> None:
    """A case with all that is known of it."""

    def read(_: Any) -> CaseFile:
        with reading(visit.sources.engine()) as conn:
            return cases.case_file(conn, visit.tenant, name)

    latest = visit.sources.asked(("case", visit.tenant, name), read, fresh_ms=3_000)
    if not answered(latest, visit.now_ms, "The case") or latest.value is None:
        return
    found = latest.value
    heading(visit.mask(found.case.title, ()), f"{found.case.state}, opened by {found.case.who}, {day(found.case.at_ms)}, tenant {found.case.tenant}")
    sums(visit, found)
    if visit.person.name:
        with st.container(horizontal=True, gap="small"):
            buttons(visit, found)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        heading("Timeline", "the oldest first")
        plain = tuple(each for one in found.findings for each in ranges_of(one.subject, title_of(one), one.reason))
        rows: list[tuple[str | Safe, ...]] = [(when(one.at_ms), one.what, visit.mask(one.text, plain), one.who) for one in found.timeline]
        st.html(table(("when", "what", "", "by"), rows, numbers_from=9))
    with right:
        heading("Alerts", f"{len(found.findings):,}")
        for one in found.findings:
            about = link(name_of(visit, one), "alerts", one.tenant, alert=one.finding_id)
            detector = detector_text(one.detector)
            st.html(tag("div", tag("header", about), tag("footer", f"{one.calls:,} calls  ·  {detector}"), cls="rf-card"))
        if found.related:
            heading("Of the same accounts", "in no case")
            st.html(tag("ul", *(tag("li", name_of(visit, one)) for one in found.related[:8]), cls="rf-list"))


def sums(visit: Visit, found: CaseFile) -> None:
    """What its alerts cost, and what its blocks have saved."""

    def ask(warehouse: Any) -> tuple[dict[str, Decimal], int]:
        with reading(visit.sources.engine()) as conn:
            return cases.saved(warehouse, conn, found)

    latest = visit.sources.asked(("case saved", found.case.tenant, found.case.id, len(found.findings)), ask, fresh_ms=20_000)
    tiles = [tile("Lost", money(found.lost), "", "money of its alerts; what an account's alerts share is counted once")]
    if latest.value is not None:
        tiles.append(tile("Saved", money(latest.value[0]), "", f"an estimate: {latest.value[1]:,} refused calls at the mean of their alert"))
    elif latest.error:
        tiles.append(tile("Saved", "–", "", f"cannot be read now: {latest.error}"))
    else:
        again()
    tiles.append(tile("Calls", f"{max((one.calls for one in found.findings), default=0):,}", "", "of its largest alert"))
    st.html(tag("div", *tiles, cls="rf-tiles"))


def buttons(visit: Visit, found: CaseFile) -> None:
    """A note, an alert more or less, the end, the evidence."""
    one, who = found.case, visit.person.name

    def changed(do: Callable[[Connection], object]) -> bool:
        return act(visit, "block", do, BOTH, one.tenant)

    if visit.may("block", one.tenant):
        with st.popover("Note"), st.form("rf_case_note", border=False, clear_on_submit=True):
            text = st.text_area("Note", key="rf_case_text", max_chars=2_000)
            pressed = st.form_submit_button("Add", key="rf_case_note_do") and bool(text.strip())
            if pressed and changed(lambda conn: stored.note(conn, one, "note", text, who, visit.now_ms)):
                st.rerun()
        with st.popover("Alerts"), st.form("rf_case_more", border=False):
            names = {each.finding_id: name_of(visit, each) for each in (*found.related, *found.findings)}
            more = st.multiselect("Add, of the same accounts", [each.finding_id for each in found.related], format_func=names.__getitem__,
                key="rf_case_add")  # fmt: skip
            less = st.multiselect("Take out", [each.finding_id for each in found.findings], format_func=names.__getitem__, key="rf_case_less")
            pressed = st.form_submit_button("Change", key="rf_case_more_do")
            if pressed and changed(lambda conn: change(conn, one, more, less, who, visit.now_ms)):
                st.rerun()
        closed = one.state == "closed"
        with st.popover("Reopen" if closed else "Close"), st.form("rf_case_end", border=False):
            why = st.text_input("Why" if closed else "How it ended", key="rf_case_why", max_chars=500)
            if st.form_submit_button("Reopen" if closed else "Close", key="rf_case_end_do"):
                if not why.strip():
                    message("Enter a reason: it is kept in the timeline.")
                elif changed(lambda conn: stored.set_state(conn, one, "open" if closed else "closed", why, who, visit.now_ms)):
                    st.rerun()
    if visit.may("export", one.tenant):
        evidence(visit, found)


def change(conn: Connection, one: Case, more: list[str], less: list[str], who: str, now_ms: int) -> None:
    cases.add(conn, one, more, who, now_ms)
    for finding_id in less:
        stored.take_out(conn, one, finding_id, who, now_ms)


def evidence(visit: Visit, found: CaseFile) -> None:
    """The archive; taking it is written down."""

    def make() -> Prepared:
        content = cases.pack(visit.sources.ask, found)
        return Prepared(content, f"{found.case.id}.zip", "application/zip", f"the evidence ({len(content) / 1024:,.0f} kB)")

    of = f"{found.case.tenant}/{found.case.id}"
    download(visit, "rf_case_pack", of, "Prepare the evidence", make, "exported evidence", found.case.tenant)
