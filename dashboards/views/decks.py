"""Price lists of carriers: a file as it came, what was guessed, its faults by cell, what changes and what that costs; in force, and back."""

from __future__ import annotations

from typing import Any

import streamlit as st

from books import Connection, Unavailable, reading
from core.money import to_decimal, to_text
from core.text import amount
from dashboards import uploads
from dashboards.acting import act
from dashboards.figures import change_of, day
from dashboards.layout import answered, back, facts, heading, link, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table
from dashboards.visit import Visit
from rating.offers.compare import KINDS, Change
from rating.offers.finding import Findings
from services.deck_desk import activating, importing, looking
from services.deck_desk.importing import Imported
from services.deck_desk.looking import Difference, Effect, Listed
from services.errors import ServiceError
from services.in_force import View
from services.subjects import DAY_MS

TRAFFIC_MS = 30 * DAY_MS
SHOWN_CHANGES, SHOWN_FINDINGS, SHOWN_LINES = 200, 60, 40
WORDS = {"new": "new", "increase": "dearer", "decrease": "cheaper", "closed": "closed", "unchanged": "unchanged"}


def decks(visit: Visit) -> None:
    if not visit.allowed("rates"):
        return
    title("Decks", "what carriers ask for: read, compared, in force from a date, and back")
    if not visit.tenant:
        quiet("Choose a tenant: decks are those of one tenant's carriers.")
        return
    if wanted := st.query_params.get("deck", ""):
        back("All decks", "deck")
        version(visit, wanted)
        return
    if visit.may("decks") and visit.person.name:
        upload(visit)
    every(visit)


def every(visit: Visit) -> None:
    """The decks of each carrier, and which is in force."""

    def read(_: object) -> list[Listed]:
        with reading(visit.sources.engine()) as conn:
            return looking.every(conn, visit.tenant, "", visit.now_ms)

    latest = visit.sources.asked(("decks", visit.tenant), read, fresh_ms=5_000)
    if not answered(latest, visit.now_ms, "Decks") or latest.value is None:
        return
    if not latest.value:
        quiet("No carrier has a deck.")
        return
    rows: list[tuple[str | Safe, ...]] = []
    for one in latest.value:
        name = link(one.name, "decks", visit.tenant, deck=one.name) if one.version else one.name
        codes, file = (f"{one.version.facts.codes:,}", one.version.file_name) if one.version else ("", "from the config file")
        state = tag("span", one.state, cls="rf-badge " + ("stands-good" if one.state == "in force" else ""))
        rows.append((one.carrier, name, state, day(one.from_at_ms), day(one.until_at_ms), file, codes))
    st.html(table(("carrier", "deck", "state", "from", "until", "file", "codes"), rows, numbers_from=6))


# --- a file ---


def upload(visit: Visit) -> None:
    """Read a carrier's file; nothing is stored before a person has seen what was found."""
    with reading(visit.sources.engine()) as conn:
        carriers = sorted(one.name for one in View(conn).every(("carriers",), {visit.tenant}))
    with st.expander("Read a carrier's file"), st.form("rf_deck", border=False):
        carrier = st.selectbox("Carrier", carriers, key="rf_deck_carrier", index=None, placeholder="whose prices these are")
        file = uploads.file_box("The file as it came", "rf_deck_file", "ringfence decks import")
        scope_box, missing_box, from_box, currency_box = st.columns(4)
        with scope_box:
            scope = st.selectbox("It is", ("as known or guessed", "full", "partial"), key="rf_deck_scope")
        with missing_box:
            missing = st.selectbox("Codes it leaves out", ("as known", "closed", "unchanged"), key="rf_deck_missing")
        with from_box:
            valid_from = st.text_input("Valid from", key="rf_deck_from", placeholder="as the file says", max_chars=25)
        with currency_box:
            currency = st.text_input("Currency", key="rf_deck_currency", placeholder="as the file says", max_chars=3)
        if st.form_submit_button("Read", key="rf_deck_do", type="primary"):
            st.session_state.pop(uploads.DECK, None)
            if not carrier or file is None:
                message("Choose the carrier and a file.")
            else:
                said_scope, said_missing = _said(scope, "full", "partial"), _said(missing, "closed", "unchanged")
                asked = importing.ImportOptions(str(carrier), currency.strip(), said_scope, said_missing, valid_from=valid_from.strip())
                read_file(visit, asked, file.getvalue(), file.name)
    done = st.session_state.get(uploads.DECK)
    if isinstance(done, Imported):
        outcome(visit, done)


def _said(chosen: str, *known: str) -> Any:
    return chosen if chosen in known else ""


def read_file(visit: Visit, asked: importing.ImportOptions, content: bytes, name: str) -> None:
    try:
        with st.spinner("Reading the file; half a million rows take about half a minute."), reading(visit.sources.engine()) as conn:
            st.session_state[uploads.DECK] = importing.read_file(conn, visit.tenant, asked, content, name, visit.person.name, visit.now_ms)
    except (ServiceError, Unavailable) as wrong:
        message(str(wrong))


def outcome(visit: Visit, done: Imported) -> None:
    """What was guessed, what is wrong and where, what changes; and whether it is to be kept."""
    heading("What was guessed")
    st.html(facts({field.replace("_", " "): reason for field, reason in done.reasons}) if done.reasons else tag("div", "Nothing.", cls="rf-note"))
    findings(done.findings)
    if done.version is None:
        message("Nothing can be stored before the errors are mended, in the file or above.")
        return
    if done.changes is not None:
        heading(f"Against {done.base or 'no deck'}", counts(done.changes.counts, done.changes.late))
    if done.known:
        message(f"The same file is {done.version.name} already.", done=True)
        return
    if st.button("Keep as the carrier's next version", key="rf_deck_keep", type="primary"):
        kept: list[Imported] = []
        if act(visit, "decks", lambda conn: kept.append(importing.keep(conn, done)), ("decks",)) and (stored := kept[0].version):
            uploads.release()
            st.query_params["deck"] = stored.name
            st.rerun()


def findings(found: Findings) -> None:
    """Every finding with its cell, errors first."""
    rows: list[tuple[str | Safe, ...]] = [
        (tag("span", one.level, cls=f"rf-badge {'stands' if one.level == 'error' else 'waits' if one.level == 'warning' else ''}"),
         f"{one.row}" if one.row else "", one.column, one.what + (f": {one.do}" if one.do else ""))
        for one in list(found)[:SHOWN_FINDINGS]
    ]  # fmt: skip
    number = sum(found.counts.values())
    heading("Findings", f"{number:,} in all" + (f", the first {len(rows)} of them" if number > len(rows) else ""))
    if rows:
        st.html(table(("", "row", "column", "what, and what to do"), rows, numbers_from=9))
    else:
        quiet("None.")


def counts(found: dict[str, int], late: dict[str, int]) -> str:
    def late_text(kind: str) -> str:
        return f" ({late[kind]:,} with too little notice)" if late.get(kind) else ""

    return ", ".join(f"{found[kind]:,} {word}{late_text(kind)}" for kind, word in WORDS.items())


# --- a version ---


def version(visit: Visit, name: str) -> None:
    """What changes by a version, what that costs on the own traffic, and putting it in force."""
    heading(name)
    if visit.may("decks") and visit.person.name:
        acts(visit, name)
    def ask(_: object) -> Difference:
        with reading(visit.sources.engine()) as conn:
            return looking.diff(conn, visit.tenant, name, "", visit.now_ms)

    latest = visit.sources.asked(("diff", visit.tenant, name), ask, wait_s=4.0)
    if not answered(latest, visit.now_ms, "Its changes") or latest.value is None:
        return
    found = latest.value
    effect(visit, name)
    heading(f"From {found.old or 'no deck'} to {found.new}", counts(found.changes.counts, found.changes.late))
    rows = sorted((row for row in found.changes.rows if row.kind != "unchanged"), key=lambda row: (KINDS.index(row.kind), not row.late, row.prefix))
    head = ("code", "destination", "what", "from", "notice", f"old {found.currency}", f"new {found.currency}", "increments")
    if rows:
        st.html(table(head, [_change(row) for row in rows[:SHOWN_CHANGES]], numbers_from=5))
    if len(rows) > SHOWN_CHANGES:
        quiet(f"The first {SHOWN_CHANGES} of {len(rows):,}: `ringfence decks diff {name}` has all.")


def _change(row: Change) -> tuple[str | Safe, ...]:
    def price(nanos: int | None) -> str:
        return "–" if nanos is None else to_text(nanos)

    steps = "{}/{}".format(*row.new_steps) if row.old_steps == row.new_steps else "{}/{} > {}/{}".format(*row.old_steps, *row.new_steps)
    notice = tag("span", f"{max(row.notice_days, 0)} d", cls="loss" if row.late else "")
    return row.prefix, row.destination, WORDS[row.kind], day(row.from_ms), notice, price(row.old_nanos), price(row.new_nanos), steps


def effect(visit: Visit, name: str) -> None:
    """The own traffic of 30 days under the deck in force and under this one."""

    def ask(_: object) -> Effect:
        with reading(visit.sources.engine()) as conn:
            client = visit.sources.client().connected()
            return looking.simulate(conn, client, visit.tenant, name, visit.now_ms - TRAFFIC_MS, visit.now_ms, visit.now_ms)

    heading("On your own traffic", "what went over this carrier in the last 30 days, by destination, the largest difference first")
    latest = visit.sources.asked(("effect", visit.tenant, name), ask, wait_s=6.0, fresh_ms=300_000)
    if not answered(latest, visit.now_ms, "Its effect") or latest.value is None:
        return
    found = latest.value
    if not found.lines:
        quiet("No call went over this carrier in that time.")
        return
    names = found.decks
    two = len(names) == 2
    rows: list[tuple[str | Safe, ...]] = []
    for line in found.lines[:SHOWN_LINES]:
        costs = [amount(to_decimal(line.cost_nanos[one])) + ("!" if line.unpriced[one] else "") for one in names]
        difference = [_more(line.cost_nanos[names[1]] - line.cost_nanos[names[0]])] if two else []
        rows.append((line.destination, f"{line.calls:,}", f"{line.seconds / 60:,.1f}", *costs, *difference))
    totals = [amount(to_decimal(found.totals[one])) for one in names]
    together = [_more(found.totals[names[1]] - found.totals[names[0]])] if two else []
    rows.append((tag("b", "together"), f"{found.calls:,}", f"{found.seconds / 60:,.1f}", *totals, *together))
    head = ("destination", "calls", "minutes", *(f"{one}, {found.currencies[one]}" for one in names), *(["difference"] if two else []))
    st.html(table(head, rows))
    if any(count for line in found.lines for count in line.unpriced.values()):
        st.html(tag("div", "!: some of these calls have no price by that deck.", cls="rf-note"))


def _more(nanos: int) -> Safe:
    return change_of(nanos, "", nanos > 0)


def acts(visit: Visit, name: str) -> None:
    """Put the version in force from a date, or take the carrier's last activation back."""
    with st.popover("Put in force, or take back"), st.form("rf_deck_act", border=False):
        at = st.text_input("In force from", key="rf_deck_at", placeholder="the version's own date, or now; 2026-12-01", max_chars=25)
        why = st.text_input("Reason", key="rf_deck_why", max_chars=500)
        forward = st.form_submit_button(f"Put {name} in force", key="rf_deck_activate", type="primary")
        back = st.form_submit_button("Take the carrier's last activation back", key="rf_deck_rollback")
    if not (forward or back):
        return
    if not why.strip():
        message("Enter a reason: it is recorded in the audit log.")
        return
    told: list[str] = []

    def do(conn: Connection) -> None:
        if forward:
            done = activating.activate(conn, visit.tenant, name, at.strip(), visit.person.name, why, visit.now_ms)
            told.append(f"{done.deck} is paid by from {day(done.from_at_ms)} on (config version {done.config_version}).")
        else:
            done = activating.rollback(conn, visit.tenant, name.rpartition("@")[0], visit.person.name, why, visit.now_ms)
            told.append(f"{done.before} is taken back, and {done.deck} is in force again (config version {done.config_version}).")
        told.extend(done.notes)

    if act(visit, "decks", do, ("decks",)):
        message(" ".join((*told, "Running parts use it from their next tick on, within 5 s.")), done=True)
