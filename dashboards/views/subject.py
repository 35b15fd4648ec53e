"""All about one number, range, account, carrier or trunk: traffic beside its normal, money, partners, alerts and blocks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import TypeVar

import streamlit as st

from books import reading
from core.orders import Finding
from core.text import amount, span
from dashboards.block_buttons import block_buttons
from dashboards.books_view import Block, at_switches
from dashboards.charts import draw, subject_chart
from dashboards.decision_dialog import decide, last_message
from dashboards.layout import answered, heading, link, message, quiet, title
from dashboards.polled import Latest
from dashboards.rendering import block, ranges_of, title_of, utc
from dashboards.subject_questions import past_of
from dashboards.tags import Safe, joined, tag
from dashboards.theme import colours
from dashboards.tiles import table, tile
from dashboards.visit import Visit
from services import subjects
from services.errors import ServiceError
from services.subjects import Ask, Destination, Partner, Traffic

Value = TypeVar("Value")

PARTNERS = {
    "number": ("account", "caller", "called", "carrier"), "range": ("account", "caller", "carrier"), "account": ("caller", "range", "carrier"),
    "carrier": ("account", "range"), "trunk": ("account", "range", "carrier"),
}  # fmt: skip
"""With whom each kind of subject is shown."""
NAMES = {"account": "Accounts", "caller": "Callers", "called": "Called numbers", "carrier": "Carriers", "range": "Called ranges", "trunk": "Trunks"}
KIND_OF = {"account": "account", "caller": "number", "called": "number", "carrier": "carrier", "range": "range", "trunk": "trunk"}


def subject(visit: Visit) -> None:
    if not visit.allowed("look"):
        return
    title("Subject", "a number, a range of called numbers, an account, a carrier or a trunk")
    last_message(visit)
    kind_box, value_box = st.columns([1, 3])
    with kind_box:
        kind = str(st.selectbox("Kind", subjects.KINDS, key="kind", bind="query-params", index=2))
    with value_box:
        typed = st.text_input("Which", key="of", bind="query-params", max_chars=128, placeholder="+43 664 1234567, 88213, acme ...")
    if not typed.strip():
        quiet("Enter a number with its country code, the first digits of a range, or a name.")
        return
    try:
        with reading(visit.sources.engine()) as conn:
            value = subjects.parse(conn, kind, typed)
    except ServiceError as wrong:
        message(str(wrong))
        return
    if not visit.tenant:
        st.html(tag("div", "Sums over all tenants. Choose a tenant for alerts and blocks of one.", cls="rf-note"))
    shown(visit, kind, value)
    decide(visit)


def shown(visit: Visit, kind: str, value: str) -> None:
    """What is known of it."""
    of, tenant, now_ms = {kind: value}, visit.tenant, visit.now_ms
    from_ms = now_ms - subjects.DAY_MS

    def reading_of(name: str, question: Callable[[Ask], Value], *arguments: str) -> Callable[..., Latest[Value]]:
        return partial(visit.sources.asked, (name, tenant, kind, value, *arguments), question)

    today = reading_of("day", lambda ask: subjects.day(ask, of, tenant, now_ms))
    places = reading_of("destinations", lambda ask: subjects.destinations(ask, of, tenant, from_ms, now_ms))
    sides = {
        by: reading_of("partners", partial(subjects.partners, subject=of, tenant=tenant, from_ms=from_ms, to_ms=now_ms, by=by), by)
        for by in PARTNERS[kind]
    }
    for begin in (places, today, *sides.values()):  # they are read beside each other, the longest first
        begin(wait_s=0.0)
    latest = today()
    past = past_of(visit.sources, of, tenant, subjects.day_of(now_ms))
    whom = visit.mask(f"+{value}", () if kind == "number" else (value,)) if kind in ("number", "range") else value
    if answered(latest, now_ms, "Its traffic") and latest.value is not None:
        traffic(whom, subjects.beside_hours(latest.value, past.value or {}), past.value is not None)
        if past.value is None:
            answered(past, now_ms, "Its past")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        where(visit, places())
        for by, read in sides.items():
            with_whom(visit, by, read())
    with right:
        if visit.may("fraud"):
            fraud(visit, kind, value)


def traffic(whom: str, found: Traffic, is_past_known: bool) -> None:
    """Tiles and the chart of the last 24 hours."""
    calls = sum(step.calls for step in found.now)
    answered_calls = sum(step.answered for step in found.now)
    talk_ms = sum(step.talk_ms for step in found.now)
    tiles = [
        tile("Calls", f"{calls:,}", "in 24 h", f"{_percent(answered_calls, calls)} answered"),
        tile("Talk", span(talk_ms) if talk_ms else "0", "in 24 h", f"{span(talk_ms // answered_calls)} per answered call" if answered_calls else ""),
    ]  # fmt: skip
    for currency in found.currencies[:2]:
        sold = sum((step.sold(currency) for step in found.now), Decimal(0))
        bought = sum((b for step in found.now for name, _, b in step.money if name == currency), Decimal(0))
        tiles.append(tile("Sold", amount(sold), f"{currency} in 24 h", f"bought for {amount(bought)} {currency}"))
    heading(whom, "the last 24 hours")
    st.html(tag("div", *tiles, cls="rf-tiles"))
    currency = next(iter(found.currencies), "")
    past = f"grey: the mean of the same hours of the {found.past_days:g} days before" if found.normal else "no day of its past is known"
    past = past if is_past_known else "its past is not read yet"
    heading("By hour", f"{currency or 'calls'} per hour, by the time when the end of a call was received, UTC; {past}")
    draw(subject_chart(found, currency, colours(st.context.theme.type)), "rf_subject_day", f"{currency or 'Calls'} per hour of the last 24 hours")


def where(visit: Visit, latest: Latest[list[Destination]]) -> None:
    """Where its money goes."""
    heading("Destinations", "the last 24 hours, the most sold first")
    if answered(latest, visit.now_ms, "Destinations") and latest.value is not None:
        if not latest.value:
            quiet("No priced call.")
            return
        head = ("destination", "calls", "charged", "sold", "bought", "margin")
        st.html(table(head, [_destination(one) for one in latest.value]))


def _destination(one: Destination) -> tuple[str | Safe, ...]:
    margin = one.sell - one.buy
    shown_margin: str | Safe = "–"
    if one.sell_currency == one.buy_currency:
        shown_margin = tag("span", f"{amount(margin)} {one.sell_currency}", cls="loss" if margin < 0 else "")
    bought = f"{amount(one.buy)} {one.buy_currency}"
    return one.name or "not known", f"{one.calls:,}", span(one.billable_s * 1000), f"{amount(one.sell)} {one.sell_currency}", bought, shown_margin


def with_whom(visit: Visit, by: str, latest: Latest[list[Partner]]) -> None:
    """The longest talk by one of the other sides."""
    if not answered(latest, visit.now_ms, NAMES[by]) or not latest.value:
        return
    heading(NAMES[by], "the last 24 hours, the longest talk first")
    st.html(table((by, "calls", "answered", "talk"), [_partner(visit, by, one) for one in latest.value]))


def _partner(visit: Visit, by: str, one: Partner) -> tuple[str | Safe, ...]:
    name: str | Safe = one.name
    if by in ("caller", "called"):
        name = visit.mask(f"+{one.name}", ())
    if name == one.name or (visit.may("numbers") and by != "range"):
        name = link(str(name), "subject", visit.tenant, kind=KIND_OF[by], of=one.name) if "•" not in name else name
    return name, f"{one.calls:,}", _percent(one.answered, one.calls), span(one.talk_ms) if one.talk_ms else "0"


def fraud(visit: Visit, kind: str, value: str) -> None:
    """Its alerts and blocks."""

    def ask() -> tuple[list[Finding], list[Block]]:
        with reading(visit.sources.engine()) as conn:
            found = subjects.blocks_of(conn, kind, value, visit.tenant, visit.now_ms)
            shown = [Block(one.newest, one.since_ms, one.until_ms, at_switches(conn, one.newest)) for one in found[:20]]
            return subjects.alerts_of(conn, kind, value, visit.tenant)[:20], shown

    latest = visit.sources.asked(("blocks", visit.tenant, kind, value), lambda _: ask(), fresh_ms=3_000)
    heading("Blocks")
    if not answered(latest, visit.now_ms, "Alerts and blocks") or latest.value is None:
        return
    findings, found = latest.value
    if not found:
        quiet("Nothing of it is blocked.")
    for one in found:
        with st.container(key=f"rf_block_{one.status}_{one.key.text()}"):
            st.html(block(one, visit.now_ms, visit.mask))
            block_buttons(visit, one)
    heading("Alerts", "the newest first")
    if not findings:
        quiet("No alert about it.")
    rows = []
    for finding in findings:
        name = title_of(finding)
        about = link(visit.mask(name, ranges_of(finding.subject, name)), "alerts", finding.tenant, alert=finding.finding_id)
        rows.append(tag("li", f"{utc(finding.last_ms, visit.now_ms)}  ", about))
    st.html(tag("ul", joined(*rows), cls="rf-list"))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"
