"""The wall: current traffic, problems, alerts and blocks, and the actions of a person."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from books import reading
from core.text import amount, clock, span
from dashboards import money_at_risk
from dashboards.block_buttons import block_buttons
from dashboards.charts import draw, money_chart, records_chart, sides
from dashboards.decision_dialog import decide, last_message
from dashboards.dispositions import dispositions_line
from dashboards.money_at_risk import Risk, risk_tiles
from dashboards.rendering import Mask, alert, block
from dashboards.sources import LIVE_EVERY_S, Sources
from dashboards.state import STALE_MS, health, pill, problems, switch_table
from dashboards.tags import Safe, joined, tag
from dashboards.theme import colours
from dashboards.tiles import table, tiles
from dashboards.traffic import total
from dashboards.visit import Visit
from dashboards.world import world
from services.subjects import Ask

SHOWN_ALERTS = 12
SHOWN_BLOCKS = 25


def wall(visit: Visit) -> None:
    if not visit.allowed("look"):
        return
    visit.sources.begin(visit.tenant)
    last_message(visit)
    live(visit)
    decide(visit)


# --- refreshed every second ---


@st.fragment(run_every=LIVE_EVERY_S)
def live(visit: Visit) -> None:
    """All live data. Each part shows the last answers and waits for no query."""
    sources, tenant = visit.sources, visit.tenant
    sources.begin(tenant)
    may_fraud = visit.may("fraud")
    risk = sources.asked(("risk", tenant), _risk(visit), wait_s=0.2, fresh_ms=5_000).value if may_fraud else None
    top(sources, tenant, risk_tiles(risk) if may_fraud else Safe())
    charts(sources, tenant)
    if not may_fraud:
        return
    if risk is not None and risk.at_risk:
        where(visit, risk)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        alerts(sources, tenant, visit.mask)
    with right:
        blocks(visit)
        switches(sources, tenant)


def _risk(visit: Visit) -> Callable[[Ask], Risk]:
    def ask(warehouse: Ask) -> Risk:
        with reading(visit.sources.engine()) as conn:
            return money_at_risk.read(warehouse, conn, visit.tenant, visit.now_ms)

    return ask


def where(visit: Visit, risk: Risk) -> None:
    """Where the money of alerted calls goes: a map, and the same as a table."""
    note = "of the alerts of the last 24 hours; red: something passes, blue: blocked, grey: let pass by a person"
    st.html(tag("h3", "Money at risk by destination", tag("small", note)))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        picture = world(risk.at_risk, colours(st.context.theme.type))
        draw(picture, "rf_world", "A map of the world with a circle for each country")
    with right:
        rows: list[tuple[str | Safe, ...]] = [
            (one.name, one.state, f"{one.alerts:,}", f"{amount(one.money)} {one.currency}")
            for one in risk.at_risk[:7]
        ]
        st.html(table(("destination", "calls", "alerts", "money"), rows, numbers_from=2))


def top(sources: Sources, tenant: str, more: Safe) -> None:
    """Lag, health of the parts, problems, tiles, and the dispositions of all records."""
    now_ms = sources.clock()
    traffic, state, lag, books = sources.traffic(tenant), sources.parts(), sources.lag(), sources.books(tenant)
    view = books.value
    line = tag("div", pill(lag, now_ms), health(state), tag("time", f"{clock(now_ms)} UTC"), cls="rf-live")
    numbers = tiles(traffic.value, view.alert_count if view else None, view.block_counts if view else None, more)
    found = problems(traffic, books, state, lag, now_ms)
    st.html(joined(line, *found, numbers, dispositions_line(sources.totals(), tenant, now_ms)))


def charts(sources: Sources, tenant: str) -> None:
    """The last minutes."""
    traffic, now_ms = sources.traffic(tenant), sources.clock()
    if traffic.value is None or not traffic.value.records:
        text = "No records in the last 15 minutes." if traffic.value is not None else "The warehouse has not answered yet."
        st.html(tag("div", text, cls="rf-quiet chart"))
        return
    old = f", {span(now_ms - traffic.at_ms)} old" if now_ms - traffic.at_ms > STALE_MS else ""
    _, money = total(traffic.value, traffic.value.from_ms, traffic.value.asked_ms)
    currencies, colour = [one.currency for one in money][:2], colours(st.context.theme.type)
    columns = st.columns([3] * len(currencies) + [2], gap="medium")
    for column, currency in zip(columns, currencies, strict=False):
        with column:
            legend = [tag("span", side, style=f"color: {shade}") for side, shade in sides(colour).items()]
            st.html(tag("h3", f"{currency} per second", tag("small", *legend, f"by the time when the end of a call was received, UTC{old}")))
            draw(money_chart(traffic.value, currency, colour), f"rf_money_{currency}", f"{currency} per second: sold, bought and margin")
    with columns[-1]:
        st.html(tag("h3", "Records per second", tag("small", f"UTC{old}")))
        draw(records_chart(traffic.value, colour), "rf_records", "Records per second")


def alerts(sources: Sources, tenant: str, mask: Mask) -> None:
    """Newest first."""
    books, now_ms = sources.books(tenant), sources.clock()
    found = books.value.alerts[:SHOWN_ALERTS] if books.value else ()
    more = books.value.alert_count - len(found) if books.value else 0
    if books.value is None:
        body = [tag("div", "The books have not answered yet.", cls="rf-quiet")]
    elif not found:
        body = [tag("div", "No alerts yet.", cls="rf-quiet")]
    else:
        body = [alert(one, now_ms, mask) for one in found]
    st.html(tag("h3", "Alerts", tag("small", f"newest first, {more:,} older" if more > 0 else "newest first")))
    st.html(joined(*body))


def blocks(visit: Visit) -> None:
    """Active and waiting blocks, and their buttons."""
    books, now_ms, mask = visit.sources.books(visit.tenant), visit.now_ms, visit.mask
    found = books.value.blocks if books.value else ()
    first = found[:SHOWN_BLOCKS]
    more = sum(books.value.block_counts.values()) - len(first) if books.value else 0
    note = f"{more:,} more; ringfence orders lists them" if more > 0 else "waiting for approval first, then the newest"
    st.html(tag("h3", "Blocks", tag("small", note)))
    if not first:
        text = "No active blocks, and none waiting for approval." if books.value else "The books have not answered yet."
        st.html(tag("div", text, cls="rf-quiet"))
    for one in first:
        # The keys name the block, not the order: an order is issued again each minute, and a press must not be lost by that.
        with st.container(key=f"rf_block_{one.status}_{one.key.text()}"):
            st.html(block(one, now_ms, mask))
            block_buttons(visit, one)


def switches(sources: Sources, tenant: str) -> None:
    """The mode of each switch, and its unconfirmed changes."""
    books = sources.books(tenant).value
    if books and books.switches:
        st.html(tag("h3", "Switches"))
        st.html(table(("switch", "mode", "unconfirmed"), switch_table(books.switches), numbers_from=2))
