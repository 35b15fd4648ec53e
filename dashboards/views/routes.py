"""Routes and margin: what is lost and why, how good each carrier is, and why a call is tried over which gateways."""

from __future__ import annotations

from functools import partial

import streamlit as st

from books import configs, reading
from core.alert_text import TESTED
from core.money import to_decimal
from core.text import amount, span
from dashboards.layout import answered, heading, link, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table
from dashboards.visit import Visit
from services import margins, route_tests, routes
from services.in_force import View
from services.margins import Margin, Quality

SINCE = {"1 hour": 3_600_000, "24 hours": 86_400_000, "7 days": 7 * 86_400_000}


def routes_and_margin(visit: Visit) -> None:
    if not visit.allowed("rates"):
        return
    title("Routes and margin", "what loses most first; by the time when the end of a call was received, UTC")
    since = str(st.segmented_control("Calls of the last", list(SINCE), default="24 hours", key="since", bind="query-params") or "24 hours")
    from_ms = visit.now_ms - SINCE.get(since, 86_400_000)
    asked = visit.sources.asked
    of_margins = partial(asked, ("margins", visit.tenant, since), lambda ask: margins.margins(ask, visit.tenant, from_ms, visit.now_ms))
    of_quality = partial(asked, ("quality", visit.tenant, since), lambda ask: margins.quality(ask, visit.tenant, from_ms, visit.now_ms))
    for begin in (of_margins, of_quality):  # they are read beside each other
        begin(wait_s=0.0)
    earned = of_margins()
    heading("Margin", "by destination and carrier")
    if answered(earned, visit.now_ms, "Margins") and earned.value is not None:
        if earned.value:
            head = ("destination", "carrier", "why", "calls", "sold", "bought", "margin")
            st.html(table(head, [_margin(visit, one) for one in earned.value], numbers_from=3))
        else:
            quiet("No priced call in that time.")
    good = of_quality()
    heading("Quality", "of attempts, by carrier")
    if answered(good, visit.now_ms, "Qualities") and good.value is not None:
        if good.value:
            columns = ("carrier", "attempts", "answered (ASR)", "mean talk (ACD)", "post-dial delay, median")
            st.html(table(columns, [_quality(visit, one) for one in good.value]))
        else:
            quiet("No attempt in that time.")
    tested(visit)
    explain(visit)


def tested(visit: Visit) -> None:
    """What the test calls of the newest week say of carriers."""
    if not visit.tenant:
        return
    with reading(visit.sources.engine()) as conn:
        found = route_tests.standing(conn, visit.tenant)
    if found:
        heading("Test calls", "what more of a carrier's calls do than chance and the other carriers explain, in the newest week of test calls")
        rows: list[tuple[str | Safe, ...]] = [
            (link(one.carrier, "subject", visit.tenant, kind="carrier", of=one.carrier), f"+{one.zone}…", TESTED[one.what][0],
             f"{one.bad:,} of {one.tests:,}", f"{100 * one.low:.0f} %", f"{one.peers_bad:,} of {one.peers_tests:,}")
            for one in found
        ]  # fmt: skip
        head = ("carrier", "destination", "its test calls", "how many", "of its calls at least", "of the other carriers'")
        st.html(table(head, rows, numbers_from=3))


def _margin(visit: Visit, one: Margin) -> tuple[str | Safe, ...]:
    margin: str | Safe = "–"
    if one.margin is not None:
        margin = tag("span", f"{amount(one.margin)} {one.sell_currency}", cls="loss" if one.margin < 0 else "")
    carrier = link(one.carrier, "subject", visit.tenant, kind="carrier", of=one.carrier) if one.carrier else "–"
    sold, bought = f"{amount(one.sell)} {one.sell_currency}", f"{amount(one.buy)} {one.buy_currency}"
    return one.destination or "not known", carrier, margins.cause(one), f"{one.calls:,}", sold, bought, margin


def _quality(visit: Visit, one: Quality) -> tuple[str | Safe, ...]:
    acd = span(one.talk_ms // one.answered) if one.answered else "–"
    pdd = f"{one.pdd_ms:,.0f} ms" if one.pdd_ms is not None else "–"
    name = link(one.carrier, "subject", visit.tenant, kind="carrier", of=one.carrier)
    return name, f"{one.attempts:,}", f"{100 * one.answered / one.attempts:.1f} %", acd, pdd


def explain(visit: Visit) -> None:
    """Over which gateways a call is tried now, and why each stands where it stands."""
    heading("Explain a choice", "the gateways of the account's route plan for one number, as `ringfence route` says")
    if not visit.tenant:
        quiet("Choose a tenant: a route plan is one tenant's.")
        return
    with reading(visit.sources.engine()) as conn:
        names = sorted(one.name for one in View(conn).every(("accounts",), {visit.tenant}))
        version = configs.latest(conn)
    account_box, number_box = st.columns(2)
    with account_box:
        account = st.selectbox("Account", names, key="account", bind="query-params", index=0 if names else None)
    with number_box:
        called = st.text_input("Called number", key="to", bind="query-params", max_chars=40, placeholder="+43 664 1234567")
    if not called.strip() or account is None:
        return
    installation = visit.sources.installation

    def ask(_: object) -> routes.Routes:
        asked = routes.RouteRequest(str(account), called, at_ms=visit.now_ms)
        live = routes.live_of(installation, visit.tenant, visit.now_ms)
        durations = routes.durations_of(installation, visit.tenant, visit.now_ms)
        return routes.explained(visit.sources.terms(version), visit.tenant, asked, live, durations)

    latest = visit.sources.asked(("route", visit.tenant, account, called), ask, wait_s=4.0)
    if not answered(latest, visit.now_ms, "The routes") or latest.value is None:
        return
    found = latest.value
    per_call = found.choice.profile.answered or 1
    rows: list[tuple[str | Safe, ...]] = []
    for one in (*found.choice.routes, *found.choice.dropped):
        cost = f"{amount(to_decimal(round(one.cost_nanos / per_call)), 4)} {found.view.currency}" if one.cost_nanos is not None else "–"
        score = f"{one.standing.score:.2f}" if one.standing.attempts else "–"
        why = one.why or ", ".join(one.notes) or "in the order of the plan"
        rows.append((f"{one.rank}" if one.rank else "not tried", one.entry.gateway, one.entry.carrier, why, score, cost))
    if found.choice.cause:
        message(f"No route: {found.choice.why}")
    places = ("place", "gateway", "carrier", "why", "score", "expected cost per answered call")
    st.html(table(places, rows, numbers_from=4))
