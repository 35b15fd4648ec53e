"""The queue of alerts: what still passes first, then by money. One alert is judged beside its own past, with two presses to block it."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from books import Unavailable, reading
from core import explain
from core.detector_names import detector_text
from core.money import to_decimal
from core.orders import Key
from core.text import amount, moment, span
from dashboards.charts import draw, subject_chart
from dashboards.decision_dialog import Choice, choose, decide, last_message
from dashboards.layout import answered, heading, link, message, quiet, title
from dashboards.rendering import alert_text, key_text, ranges_of, status_badge, title_of, utc
from dashboards.subject_questions import example_calls, past_of
from dashboards.tags import Safe, tag
from dashboards.theme import colours
from dashboards.tiles import table
from dashboards.visit import Visit
from services import alert_desk, subjects
from services.alert_desk import Queued
from services.attacks import Attack, attacks
from services.errors import ServiceError

EVERY_S = 3.0
SHOWN = 25
SHOW = {"to decide": "what passes", "refused": "what is blocked", "all": "all"}


def alerts(visit: Visit) -> None:
    if not visit.allowed("fraud"):
        return
    keys = "press N and P to move, B to block, U to unblock, T to take; F fraud, G not fraud, Y unsure"
    title("Alerts", f"what still passes first, then by money; {keys}")
    last_message(visit)
    live(visit)
    decide(visit)


@st.fragment(run_every=EVERY_S)
def live(visit: Visit) -> None:
    """The queue, and the alert that is open. The dialog is outside, so that nothing typed is lost."""
    latest = visit.sources.asked(("alerts", visit.tenant), lambda _: _queue(visit), fresh_ms=2_000)
    show = st.segmented_control("Show", list(SHOW), default="all", key="show", bind="query-params", label_visibility="collapsed")
    if not answered(latest, visit.now_ms, "Alerts") or latest.value is None:
        return
    found = [one for one in latest.value if show not in ("to decide", "refused") or (one.lead.passes == (show == "to decide"))][:SHOWN]
    if not found:
        quiet("No alerts." if show == "all" else f"No alerts here; {len(latest.value):,} in all.")
        return
    at = chosen(found)
    left, right = st.columns([2, 3], gap="medium")
    with left, st.container(key="rf_queue"):
        for number, one in enumerate(found):
            row(visit, one.lead, number == at, len(one.others))
    with right:
        opened(visit, found, at)


def _queue(visit: Visit) -> list[Attack]:
    with reading(visit.sources.engine()) as conn:
        return attacks(alert_desk.queue(conn, visit.tenant, visit.now_ms))


def chosen(found: list[Attack]) -> int:
    """The place of the attack whose alert is open, as the address says; the first where it says none that is here."""
    wanted = st.query_params.get("alert", "")
    return next((at for at, one in enumerate(found) if any(each.finding.finding_id == wanted for each in one.members)), 0)


def shown(attack: Attack) -> Queued:
    """The alert of an attack that is open: its lead, unless the address names another."""
    wanted = st.query_params.get("alert", "")
    return next((one for one in attack.others if one.finding.finding_id == wanted), attack.lead)


def open_alert(finding_id: str) -> None:
    st.query_params["alert"] = finding_id


def row(visit: Visit, one: Queued, is_open: bool, more: int) -> None:
    """One attack of the queue by the alert that leads it. `more`: its other alerts."""
    finding = one.finding
    name = title_of(finding)
    with st.container(key=f"rf_alert_{finding.finding_id}"):
        st.html(
            tag(
                "article",
                tag("header", tag("strong", visit.mask(name, ranges_of(finding.subject, name))), money(one)),
                tag("footer", status_badge(one.order), f"  last call {utc(finding.last_ms, visit.now_ms)}", also(more), by(one, visit.now_ms)),
                cls="rf-card alert" + (" hot" if one.passes else "") + (" open" if is_open else ""),
            )
        )
        st.button("Open", key=f"rf_open_{finding.finding_id}", on_click=open_alert, args=(finding.finding_id,))


def money(one: Queued) -> Safe:
    finding = one.finding
    text = amount(to_decimal(finding.exposure_nanos)) if finding.exposure_nanos or finding.currency else f"{finding.calls:,} calls"
    return tag("span", tag("b", text), f" {finding.currency}", cls="money")


def also(more: int) -> str:
    """
    >>> also(0), also(1), also(3)
    ('', '  ·  and 1 more alert', '  ·  and 3 more alerts')
    """
    return f"  ·  and {more} more alert{'s' * (more > 1)}" if more else ""


def by(one: Queued, now_ms: int) -> str:
    return f"  ·  {one.take.who} works on it since {utc(one.take.at_ms, now_ms)}" if one.take else ""


def opened(visit: Visit, found: list[Attack], at: int) -> None:
    """The alert with its reason, its past and example calls, and what a person can do."""
    one = shown(found[at])
    finding = one.finding
    text = alert_text(finding, one.order, visit.now_ms)
    name = title_of(finding)
    plain = ranges_of(finding.subject, name, text)
    st.html(
        tag(
            "div",
            tag("header", tag("strong", visit.mask(name, plain)), status_badge(one.order), money(one)),
            tag("p", visit.mask(text, plain)),
            tag("footer", f"tenant {finding.tenant}  ·  {detector_text(finding.detector)}  ·  "
                f"{finding.score:,.1f} times the threshold  ·  {finding.calls:,} calls in {span(max(1_000, finding.last_ms - finding.first_ms))}  ·  "
                f"first {utc(finding.first_ms, visit.now_ms)}", by(one, visit.now_ms)),
            cls="rf-card opened",
        )
    )  # fmt: skip
    buttons(visit, found, at)
    past(visit, one)
    calls(visit, one)
    of_the_same(visit, found[at], one)
    why(visit, one)


def of_the_same(visit: Visit, attack: Attack, one: Queued) -> None:
    """The other alerts of the attack, a line each; each opens by its link, and has a block and a verdict of its own."""
    others = [each for each in attack.members if each is not one]
    if not others:
        return
    heading("The same attack", "other alerts about this account at the same time")
    rows: list[tuple[str | Safe, ...]] = []
    for each in others:
        name = title_of(each.finding)
        about = link(visit.mask(name, ranges_of(each.finding.subject, name)), "alerts", each.finding.tenant, alert=each.finding.finding_id)
        where = each.finding.facts.country_name if each.finding.facts else ""
        first = moment(each.finding.first_ms, visit.now_ms)
        rows.append((about, where or "–", first, detector_text(each.finding.detector), status_badge(each.order), money(each)))
    head = ("alert", "to", "since, UTC", "found by", "block", "money")
    st.html(table(head, rows, numbers_from=5))


def buttons(visit: Visit, found: list[Attack], at: int) -> None:
    """The actions, each with its key."""
    one = shown(found[at])
    finding, key = one.finding, alert_desk.key_to_block(one.finding)
    why = f"alert: {visit.mask(title_of(finding), ranges_of(finding.subject, title_of(finding)))}"
    with st.container(horizontal=True, gap="small", key="rf_alert_actions"):
        if key is not None and visit.could("block", finding.tenant):
            if one.status in ("standing", "shadow"):
                _button("Unblock", "U", Choice("unblock", key, one.order.order.order_id if one.order else ""))
            elif one.status == "waiting" and one.order is not None and visit.could("approve", finding.tenant):
                _button("Approve", "A", Choice("approve", key, one.order.order.order_id))
                _button("Deny", "D", Choice("deny", key, one.order.order.order_id))
            else:
                _button("Block", "B", Choice("block", key, why=why))
        if visit.may("block", finding.tenant) and visit.person.name:
            mine = one.take is not None and one.take.who == visit.person.name
            label = "Give back" if mine else "Take over" if one.take else "Take"
            if st.button(label, key="rf_take", shortcut="T"):
                take(visit, one, mine)
        if visit.could("block", finding.tenant):
            about = visit.mask(title_of(finding), ranges_of(finding.subject, title_of(finding)))
            for word, label, press in (("fraud", "Fraud", "F"), ("not fraud", "Not fraud", "G"), ("unsure", "Unsure", "Y")):
                choice = Choice(word, Key(tenant=finding.tenant), why=why, finding_id=finding.finding_id, about=about)
                look: Literal["primary", "secondary"] = "primary" if one.verdict and one.verdict.verdict == word else "secondary"
                if st.button(label, key=f"rf_verdict_{word.replace(' ', '_')}", shortcut=press, type=look, on_click=choose, args=(choice,)):
                    st.rerun()
        after, before = found[(at + 1) % len(found)], found[at - 1]
        st.button("Next", key="rf_next", shortcut="N", on_click=open_alert, args=(after.lead.finding.finding_id,))
        st.button("Previous", key="rf_previous", shortcut="P", on_click=open_alert, args=(before.lead.finding.finding_id,))
    if one.verdict:
        follows = f", as of {one.verdict.spread_from}" if one.verdict.spread_from else ""
        said = f"{one.verdict.who} said {utc(one.verdict.at_ms, visit.now_ms)}: {one.verdict.verdict}{follows}. {one.verdict.why}"
        st.html(tag("div", visit.mask(said, ()), cls="rf-note"))
    if key is not None:
        kind, value = ("account", key.account) if key.account else ("trunk", key.ingress_trunk)
        if key.a_number and visit.mask(key.a_number, ()) == key.a_number:  # an address shows no number that the page masks
            kind, value = "number", key.a_number
        about = link(f"All about this {kind}", "subject", finding.tenant, kind=kind, of=value)
        st.html(tag("div", "A block refuses ", *key_text(key, visit.mask), ". ", about, cls="rf-note"))


def _button(label: str, shortcut: str, choice: Choice) -> None:
    if st.button(label, key=f"rf_act_{choice.verb}", shortcut=shortcut, type="primary", on_click=choose, args=(choice,)):
        st.rerun()


def take(visit: Visit, one: Queued, mine: bool) -> None:
    """Take the alert, or give it back. Of two people at once one gets it, and both see who."""
    try:
        with visit.books("block", one.finding.tenant) as conn:
            if mine:
                alert_desk.release(conn, one.finding.finding_id, visit.person.name, visit.now_ms)
            else:
                has = alert_desk.take(conn, one.finding.finding_id, visit.person.name, one.take is not None, visit.now_ms)
                if has.who != visit.person.name:
                    message(f"{has.who} was quicker, and works on it.")
    except (ServiceError, Unavailable, PermissionError) as wrong:
        message(f"Not done: {wrong}")
    visit.sources.forget("alerts")


def past(visit: Visit, one: Queued) -> None:
    """The last hour by minute, and its normal minute behind it."""
    finding, subject = one.finding, alert_desk.subject_of(one.finding)
    if not subject:
        return
    key, before_ms = ("hour", finding.tenant, *subject.items()), subjects.hour_of(visit.now_ms)
    latest = visit.sources.asked(key, lambda ask: subjects.hour(ask, subject, finding.tenant, visit.now_ms), fresh_ms=10_000)
    if not answered(latest, visit.now_ms, "Its traffic") or latest.value is None:
        return
    before = past_of(visit.sources, subject, finding.tenant, before_ms)
    traffic = subjects.beside_mean(latest.value, before.value or {}, before_ms)
    currency = finding.currency if finding.currency in traffic.currencies else next(iter(traffic.currencies), "")
    known = f"grey: its mean minute over the {span(round(traffic.past_days * 86_400_000))} before" if traffic.normal else "no past is known"
    if before.value is None:
        known = f"its past cannot be read now: {before.error}" if before.error else "its past is not read yet"
    heading("Its last hour", f"{currency or 'calls'} per minute, by the time when the end of a call was received, UTC; {known}")
    chart = subject_chart(traffic, currency, colours(st.context.theme.type), 150)
    draw(chart, "rf_alert_hour", f"{currency or 'Calls'} per minute of the last hour")


def calls(visit: Visit, one: Queued) -> None:
    finding = one.finding
    ids = tuple(finding.example_call_ids[-10:])
    latest = visit.sources.asked(("examples", finding.tenant, *ids), lambda ask: example_calls(ask, list(ids), finding), fresh_ms=20_000)
    heading("Example calls", "that have ended, the newest first")
    if not answered(latest, visit.now_ms, "Its calls") or latest.value is None:
        return
    if not latest.value:
        quiet("None of its calls has ended yet.")
        return
    rows: list[tuple[str | Safe, ...]] = [
        (
            link(f"call {call.place}", "calls", finding.tenant, call=call.place),
            visit.mask(f"+{call.a_number}" if call.a_number else "withheld", ()),
            visit.mask(f"+{call.b_number}" if call.b_number else "not readable", ()),
            call.carrier or "–",
            span(call.talk_ms) if call.talk_ms else "not answered",
        )
        for call in latest.value
    ]
    st.html(table(("call", "caller", "called", "carrier", "talk"), rows, numbers_from=4))


def why(visit: Visit, one: Queued) -> None:
    """What the probability is made of, and the whole alert in sentences for an e-mail, with the numbers as they are shown."""
    finding, facts = one.finding, one.finding.facts
    if facts is not None and facts.evidence:
        heading("Why", "what each number adds to the log-odds of fraud, beside its normal; the points add up")
        rows: list[tuple[str | Safe, ...]] = [
            (what, f"{value:,.4g}" if value != "" else "", f"{normal:,.4g}" if normal != "" else "", f"{points:+.2f}".replace("-0.00", "+0.00"))
            for what, value, normal, points in explain.rows(facts)
        ]
        st.html(table(("number", "now", "normal", "points"), rows, numbers_from=1))
    text = "\n\n".join(explain.of_finding(finding))
    heading("For an e-mail", "copy it with the button at its right")
    st.code(visit.mask(text, ranges_of(finding.subject, title_of(finding), text)), language=None, wrap_lines=True)
