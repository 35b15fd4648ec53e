"""What a call costs or would cost, and why, line by line; the resellers above the account and what each keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from books import configs, reading
from core import durations
from core.money import to_text
from dashboards.layout import facts, heading, message, quiet, title
from dashboards.tags import tag
from dashboards.visit import Visit
from rating.quote import Quote
from services import quotes
from services.in_force import View


def quote(visit: Visit) -> None:
    if not visit.allowed("rates"):
        return
    title("Quote", "the price of one call by what is in force, with its derivation")
    if not visit.tenant:
        quiet("Choose a tenant: prices are those of one tenant's agreements.")
        return
    with reading(visit.sources.engine()) as conn:
        view = View(conn)
        names = {
            "account": sorted(one.name for one in view.every(("accounts",), {visit.tenant})),
            "carrier": sorted(one.name for one in view.every(("carriers",), {visit.tenant})),
        }
        version = configs.latest(conn)
    if not names["account"] and not names["carrier"]:
        quiet("The config in force has no account and no carrier of this tenant.")
        return
    side_box, name_box, to_box = st.columns([1, 2, 2])
    with side_box:
        side = str(st.selectbox("Price for", ("account", "carrier"), key="side", bind="query-params"))
    with name_box:
        name = st.selectbox("Which", names[side], key=side, bind="query-params", index=0 if names[side] else None)
    with to_box:
        called = st.text_input("Called number", key="to", bind="query-params", max_chars=40, placeholder="+43 664 1234567")
    talk_box, at_box, from_box = st.columns([1, 2, 2])
    with talk_box:
        talk = st.text_input("Talk", "60s", key="talk", bind="query-params", max_chars=16, help="such as 60s, 2m30s")
    with at_box:
        at = st.text_input("Answered at", key="at", bind="query-params", max_chars=32, placeholder="now; or 2026-11-27T18:30+01:00")
    with from_box:
        caller = st.text_input("Caller", key="from", bind="query-params", max_chars=40, placeholder="only where the price depends on it")
    if not called.strip() or name is None:
        quiet("Enter the called number with its country code.")
        return
    try:
        asked = quotes.QuoteRequest(
            str(name) if side == "account" else "any", called, caller, carrier=str(name) if side == "carrier" else "",
            at_ms=_moment(at, visit.now_ms), talk_ms=_talk_ms(talk),
        )  # fmt: skip
    except ValueError as wrong:
        message(str(wrong))
        return
    terms = visit.sources.terms(version)
    found = quotes.ask(terms, visit.tenant, asked)
    levels = [found, *quotes.resellers(terms, visit.tenant, asked)]
    heading("Price", f"by config version {version}")
    for one, keeps in zip(levels, [None, *quotes.margins(levels)], strict=True):
        priced(one, f"{side} {name}" if one is found else f"reseller {one.party}", keeps)


def priced(one: Quote, who: str, keeps: int | None) -> None:
    """One level's price and its derivation."""
    if one.why_not or one.offer is None:
        message(f"No price for {who}: {one.why_not}.")
        return
    kept = f", and keeps {to_text(keeps)} {one.offer.currency} of it" if keeps is not None else ""
    head = tag("header", tag("strong", f"{who}: {to_text(one.nanos)} {one.offer.currency} for {one.talk_ms / 1000:g} s{kept}"))
    st.html(tag("article", head, facts(dict(quotes.derivation(one))), cls="rf-card"))


def _moment(text: str, now_ms: int) -> int:
    if not text.strip():
        return now_ms
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no time: write 2026-11-27T18:30+01:00") from None
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def _talk_ms(text: str) -> int:
    text = text.strip()
    return int(text) * 1000 if text.isascii() and text.isdigit() and len(text) < 8 else int(durations.to_ms(text))
