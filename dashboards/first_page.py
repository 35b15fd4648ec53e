"""The first page: current traffic, problems, alerts and blocks, and the actions of a person."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.text import clock, masked, span
from dashboards.books_view import Block
from dashboards.charts import COLOURS, money_chart, records_chart
from dashboards.decision_dialog import ACTING, MESSAGE, Choice, Message, acting, choose, decide, sign_in, sign_in_fields
from dashboards.dispositions import dispositions_line
from dashboards.rendering import Mask, alert, block, mask_of
from dashboards.sources import Sources
from dashboards.state import STALE_MS, health, pill, problems, switch_table
from dashboards.tags import joined, tag
from dashboards.tiles import table, tiles
from dashboards.traffic import total

STYLE = Path(__file__).parent / "style.css"
EVERY_S = 2.0
ALL = "all tenants"
SHOWN_ALERTS = 12
SHOWN_BLOCKS = 25


def first_page(sources: Sources) -> None:
    st.set_page_config(page_title="Ringfence", layout="wide")
    st.html(STYLE)
    sources.begin("")
    tenant = head(sources)
    last_message()
    live(sources, tenant)
    decide(sources)


# --- static ---


def head(sources: Sources) -> str:
    """Name, tenant selection and sign-in. Returns the tenant, "" = all."""
    known = sources.books("").value
    name, which, who = st.columns([5, 2, 2], vertical_alignment="center")
    with name:
        st.html(
            tag("div", tag("b", "Ringfence"), tag("span", Path(sources.settings.home).name, title=sources.settings.home), cls="rf-name")
        )
    with which:
        options = [ALL, *(known.tenants if known else ())]
        chosen = st.selectbox("Tenant", options, key="rf_tenant", label_visibility="collapsed")
    with who:
        sign_in_box(sources)
    return "" if chosen == ALL else chosen


def sign_in_box(sources: Sources) -> None:
    """Who is signed in, or the form to sign in."""
    if name := acting():
        # A label is Markdown, so the name is a text of its own.
        with st.popover("Signed in", width="stretch"):
            st.text(f"You act as {name} and see full numbers.")
            if st.button("Sign out", key="rf_leave", width="stretch"):
                del st.session_state[ACTING]
                st.rerun()
        return
    with st.popover("Sign in", width="stretch"), st.form("rf_enter", border=False):
        st.text("Until you sign in, numbers are masked and nothing can be unblocked.")
        entered = sign_in_fields("rf_enter")
        if st.form_submit_button("Sign in", key="rf_enter_do", type="primary", width="stretch"):
            if bad := sign_in(sources, *entered):
                st.html(tag("div", bad, cls="rf-message bad"))
            else:
                st.rerun()


def last_message() -> None:
    """The result of the last action."""
    message = st.session_state.get(MESSAGE)
    if isinstance(message, Message):
        text = message.text if acting() else masked(message.text)
        st.html(tag("div", text, cls="rf-message " + ("good" if message.done else "bad")))


# --- refreshed every 2 s ---


@st.fragment(run_every=EVERY_S)
def live(sources: Sources, tenant: str) -> None:
    """All live data. Each part shows the last answers and waits for no query."""
    sources.begin(tenant)
    mask = mask_of(bool(acting()))
    top(sources, tenant)
    charts(sources, tenant)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        alerts(sources, tenant, mask)
    with right:
        blocks(sources, tenant, mask)
        switches(sources, tenant)


def top(sources: Sources, tenant: str) -> None:
    """Lag, health of the parts, problems, tiles, and the dispositions of all records."""
    now_ms = sources.clock()
    traffic, state, lag, books = sources.traffic(tenant), sources.parts(), sources.lag(), sources.books(tenant)
    view = books.value
    line = tag("div", pill(lag, now_ms), health(state), tag("time", f"{clock(now_ms)} UTC"), cls="rf-live")
    numbers = tiles(traffic.value, view.alert_count if view else None, view.block_counts if view else None)
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
    currencies = [one.currency for one in money][:2]
    columns = st.columns([3] * len(currencies) + [2], gap="medium")
    for column, currency in zip(columns, currencies, strict=False):
        with column:
            sides = [tag("span", side, style=f"color: {colour}") for side, colour in COLOURS.items()]
            st.html(tag("h3", f"{currency} per second", tag("small", *sides, f"by the time when the end of a call was received, UTC{old}")))
            st.altair_chart(money_chart(traffic.value, currency), theme=None, width="stretch", key=f"rf_money_{currency}")
    with columns[-1]:
        st.html(tag("h3", "Records per second", tag("small", f"UTC{old}")))
        st.altair_chart(records_chart(traffic.value), theme=None, width="stretch", key="rf_records")


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


def blocks(sources: Sources, tenant: str, mask: Mask) -> None:
    """Active and waiting blocks, and their buttons."""
    books, now_ms = sources.books(tenant), sources.clock()
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
            buttons(one)


def buttons(one: Block) -> None:
    """The actions on a block. The dialog asks for name and reason."""
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if one.status == "waiting":
            action("Approve", "approve", one)
            action("Deny", "deny", one)
        else:
            action("Unblock", "unblock", one)


def action(label: str, verb: str, one: Block) -> None:
    choice = Choice(verb, one.key, one.order.order.order_id)
    if st.button(label, key=f"rf_{verb}_{one.key.text()}", on_click=choose, args=(choice,)):
        st.rerun()


def switches(sources: Sources, tenant: str) -> None:
    """The mode of each switch, and its unconfirmed changes."""
    books = sources.books(tenant).value
    if books and books.switches:
        st.html(tag("h3", "Switches"))
        st.html(table(("switch", "mode", "unconfirmed"), switch_table(books.switches), numbers_from=2))
