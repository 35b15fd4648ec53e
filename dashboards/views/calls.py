"""Calls one by one: a search, and one call with its records, attempts and charges, each charge with its derivation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import streamlit as st

from books import reading
from core.money import to_decimal, to_text
from core.text import span
from dashboards.figures import at
from dashboards.layout import answered, back, facts, heading, link, message, quiet, title
from dashboards.tags import Safe, joined, tag
from dashboards.tiles import table
from dashboards.visit import Visit
from services import call_desk, subjects
from services.call_desk import Explained, OneCall
from services.errors import ServiceError

ANY = "any"
KINDS = (ANY, *subjects.KINDS)
SINCE = {"1 hour": 3_600_000, "24 hours": 86_400_000, "7 days": 7 * 86_400_000, "31 days": 31 * 86_400_000}


def calls(visit: Visit) -> None:
    if not visit.allowed("look"):
        return
    title("Calls", "the newest 50 that fit; open one for its records, attempts, charges and the derivation of its price")
    if place := st.query_params.get("call", ""):
        back("Back to the search", "call")
        one_call(visit, place)
        return
    kind_box, value_box, since_box = st.columns([1, 3, 1])
    with kind_box:
        kind = str(st.selectbox("Kind", KINDS, key="kind", bind="query-params"))
    with value_box:
        typed = st.text_input("Which", key="of", bind="query-params", max_chars=128, placeholder="a number, a range, a name", disabled=kind == ANY)
    with since_box:
        since = str(st.selectbox("Ended within", list(SINCE), index=1, key="since", bind="query-params"))
    subject: dict[str, str] = {}
    if kind != ANY:
        if not typed.strip():
            quiet("Enter a number with its country code, the first digits of a range, or a name.")
            return
        try:
            with reading(visit.sources.engine()) as conn:
                subject = {kind: subjects.parse(conn, kind, typed)}
        except ServiceError as wrong:
            message(str(wrong))
            return
    now_ms = visit.now_ms
    from_ms = now_ms - SINCE.get(since, 86_400_000)
    key = ("search", visit.tenant, since, *subject.items())
    latest = visit.sources.asked(key, lambda ask: call_desk.search(ask, subject, visit.tenant, from_ms, now_ms=now_ms), fresh_ms=5_000)
    if answered(latest, visit.now_ms, "Calls") and latest.value is not None:
        found(visit, latest.value)


def found(visit: Visit, rows: list[dict[str, Any]]) -> None:
    if not rows:
        quiet("No call fits.")
        return
    head = ("ended, UTC", "tenant", "account", "caller", "called", "carrier", "became", "talk", "sold", "bought")
    st.html(table(head, [_row(visit, row) for row in rows], numbers_from=7))


def _row(visit: Visit, row: dict[str, Any]) -> tuple[str | Safe, ...]:
    ended = row["end_at"] or row["learned_at"]
    became = row["disposition"] + (" (hung)" if row["suspected_hung"] else "") + (f": {row['reason']}" if row["reason"] else "")
    return (
        link(f"{ended:%d %b %H:%M:%S}", "calls", visit.tenant, call=f"{row['partition']}-{row['offset']}"),
        row["tenant"],
        row["account"] or row["ingress_trunk"] or "–",
        number(visit, row["a_number"], "withheld"),
        number(visit, row["b_number"], "not readable"),
        row["carrier"] or "–",
        visit.mask(became, ()),
        span(row["duration_ms"]) if row["duration_ms"] else "–",
        money(row["sell"], row["sell_currency"]),
        money(row["buy"], row["buy_currency"]),
    )


def number(visit: Visit, digits: str, absent: str) -> str:
    return visit.mask(f"+{digits}" if digits.isdigit() else f"“{digits}”", ()) if digits else absent


def money(value: Decimal | None, currency: str) -> str:
    return "–" if value is None or not currency else f"{value.normalize():f} {currency}"


def one_call(visit: Visit, place: str) -> None:
    try:
        call_desk.place_of(place)
    except ServiceError as wrong:
        message(str(wrong))
        return
    key = ("call", visit.tenant, place)
    latest = visit.sources.asked(key, lambda ask: call_desk.one(ask, visit.sources.terms, visit.tenant, place), wait_s=4.0, fresh_ms=60_000)
    if not answered(latest, visit.now_ms, "The call") or latest.value is None:
        return
    found_call: OneCall = latest.value
    if not found_call.facts:
        quiet(f"There is no call {place} here: it may be of another tenant, or older than what is stored.")
        return
    show(visit, place, found_call)


def show(visit: Visit, place: str, one: OneCall) -> None:
    """A call, from the facts to the derivation of its price."""
    row = one.facts
    revision = f"revision {row.get('revision', 1)}" + (f" of {one.revisions}" if one.revisions > 1 else "")
    heading(f"Call {place}", f"tenant {row['tenant']}, {revision}, config version {row['config_version']}")
    account = link(row["account"], "subject", row["tenant"], kind="account", of=row["account"]) if row["account"] else "–"
    st.html(
        facts(
            {
                "account": account, "came over trunk": row["ingress_trunk"],
                "caller": number(visit, row["a_number"] or row.get("a_raw", ""), "withheld"),
                "called": number(visit, row["b_number"] or row.get("b_raw", ""), "–"), "carrier": row["carrier"], "set up": at(row.get("setup_ms")),
                "answered": at(row.get("answer_ms")) or "not answered", "ended": at(row.get("end_ms")),
                "talk": span(row["duration_ms"]) if row.get("duration_ms") else "", "what became of it": visit.mask(row.get("reason", ""), ()),
                "Call-ID": visit.mask(row["call_id"], ()), "switch": row["switch"],
            }
        )
    )  # fmt: skip
    heading("Charges", "those that count, each with its derivation by the config version that priced it")
    if not one.charges:
        quiet("Nobody owes anything for it.")
    for each in one.charges:
        charge(visit, each)
    heading("Route attempts")
    if one.attempts:
        head = ("attempt", "carrier", "trunk", "route", "SIP", "Q.850", "post-dial delay", "talk")
        st.html(table(head, [_attempt(each) for each in one.attempts], numbers_from=4))
    else:
        quiet("No attempt is stored.")
    heading("Records", "in the order in which they arrived")
    columns = ("received", "offset", "event", "happened", "became", "SIP")
    st.html(table(columns, [_record(visit, each) for each in one.records], numbers_from=5))


def charge(visit: Visit, each: Explained) -> None:
    """One charge. Finance compares it with the derivation, digit by digit."""
    row = each.charge
    who = f"account {row['account']}" if row["role"] == "sell" and not row["level"] else row["party"] or row["carrier"]
    verb = "pays" if row["role"] == "sell" else "is paid"
    check = "✓ the derivation gives the same amount" if each.same else each.why_not or "one of several parts: the derivation is that of the whole"
    head = tag("header", tag("strong", f"{who} {verb} {to_text(row['nanos'])} {row['currency']}"), tag("span", check, cls="rf-badge"))
    if not visit.may("rates"):
        st.html(tag("article", head, cls="rf-card"))
        return
    price = f"{row['charged_s']} s at {to_decimal(row['per_min_nanos']).normalize():f} per minute"
    stored = f"{price}, deck {row['deck']}, prefix {row['prefix']}, {row['destination']}; run {row['run']}"
    st.html(tag("article", head, facts({**dict(each.rows), "stored": stored}), cls="rf-card"))


def _attempt(row: dict[str, Any]) -> tuple[str | Safe, ...]:
    pdd = f"{row['pdd_ms']:,} ms" if row["pdd_ms"] is not None else "–"
    talk = span(row["duration_ms"]) if row["duration_ms"] else "not answered"
    route = f"{row['route']}, place {row['route_rank']}" if row["route"] else "–"
    where = row["carrier"] or "–", row["egress_trunk"] or "–", route
    return f"{row['attempt_no']}", *where, _code(row["sip_code"]), _code(row["q850"]), pdd, talk


def _record(visit: Visit, row: dict[str, Any]) -> tuple[str | Safe, ...]:
    reason = f": {row['reason']}" if row["reason"] else ""
    became = joined(row["disposition"], visit.mask(reason, ()))
    return at(row["learned_ms"]), f"{row['offset']}", row["event"], at(row["at_ms"]), became, _code(row["sip_code"])


def _code(value: int | None) -> str:
    return "–" if value is None else f"{value}"
