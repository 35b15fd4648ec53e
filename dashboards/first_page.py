"""The first page: what happens now, what is wrong, and what a person can do about it. A table of contents."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.text import clock, masked, span
from dashboards.books_view import Block
from dashboards.charts import COLOURS, money_chart, records_chart
from dashboards.deciding import ACTING, SAID, Choice, Said, acting, ask_who, choose, decide, enter
from dashboards.dispositions import fates
from dashboards.figures import figures, table
from dashboards.rendering import Mask, alert, block, mask_of
from dashboards.sources import Sources
from dashboards.state import STALE_MS, health, pill, switch_table, troubles
from dashboards.tags import tag, together
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
    last_word()
    live(sources, tenant)
    decide(sources)


# --- what stays while the rest refreshes ---


def head(sources: Sources) -> str:
    """The name, whose traffic is shown, and who acts. Returns the tenant, "" = all."""
    known = sources.promises("").value
    name, which, who = st.columns([5, 2, 2], vertical_alignment="center")
    with name:
        st.html(
            tag("div", tag("b", "Ringfence"), tag("span", Path(sources.given.home).name, title=sources.given.home), cls="rf-name")
        )
    with which:
        options = [ALL, *(known.tenants if known else ())]
        chosen = st.selectbox("Tenant", options, key="rf_tenant", label_visibility="collapsed")
    with who:
        act_as(sources)
    return "" if chosen == ALL else chosen


def act_as(sources: Sources) -> None:
    """Who looks at whole numbers and may act, or the place to say so."""
    if name := acting():
        # A label is Markdown: the name is shown as a text of its own.
        with st.popover("You may act", width="stretch"):
            st.text(f"You act as {name}, and see whole numbers.")
            if st.button("Only look", key="rf_leave", width="stretch"):
                del st.session_state[ACTING]
                st.rerun()
        return
    with st.popover("Act", width="stretch"), st.form("rf_enter", border=False):
        st.text("Numbers are masked, and nothing can be done, until you say who you are.")
        said = ask_who("rf_enter")
        if st.form_submit_button("Act", key="rf_enter_do", type="primary", width="stretch"):
            if bad := enter(sources, *said):
                st.html(tag("div", bad, cls="rf-said bad"))
            else:
                st.rerun()


def last_word() -> None:
    """What the last act did, until the next one."""
    said = st.session_state.get(SAID)
    if isinstance(said, Said):
        words = said.words if acting() else masked(said.words)
        st.html(tag("div", words, cls="rf-said " + ("good" if said.done else "bad")))


# --- what refreshes ---


@st.fragment(run_every=EVERY_S)
def live(sources: Sources, tenant: str) -> None:
    """Everything that moves. Each part takes what is known and waits for nobody."""
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
    """How live it is, who works, what is wrong, the figures, and that every record has its fate."""
    now_ms = sources.clock()
    traffic, state, lag, promises = sources.traffic(tenant), sources.parts(), sources.lag(), sources.promises(tenant)
    books = promises.value
    line = tag("div", pill(lag, now_ms), health(state), tag("time", f"{clock(now_ms)} UTC"), cls="rf-live")
    tiles = figures(traffic.value, books.alert_count if books else None, books.block_counts if books else None)
    wrong = troubles(traffic, promises, state, lag, now_ms)
    st.html(together(line, *wrong, tiles, fates(sources.totals(), tenant, now_ms)))


def charts(sources: Sources, tenant: str) -> None:
    """The last minutes."""
    seen, now_ms = sources.traffic(tenant), sources.clock()
    if seen.value is None or not seen.value.records:
        words = "No record in the last minutes." if seen.value is not None else "The warehouse has not answered yet."
        st.html(tag("div", words, cls="rf-quiet chart"))
        return
    old = f", {span(now_ms - seen.at_ms)} old" if now_ms - seen.at_ms > STALE_MS else ""
    _, money = total(seen.value, seen.value.from_ms, seen.value.asked_ms)
    currencies = [one.currency for one in money][:2]
    columns = st.columns([3] * len(currencies) + [2], gap="medium")
    for place, currency in zip(columns, currencies, strict=False):
        with place:
            sides = [tag("span", side, style=f"color: {colour}") for side, colour in COLOURS.items()]
            st.html(tag("h3", f"{currency} a second", tag("small", *sides, f"by when a call's end was learned, UTC{old}")))
            st.altair_chart(money_chart(seen.value, currency), theme=None, width="stretch", key=f"rf_money_{currency}")
    with columns[-1]:
        st.html(tag("h3", "Records a second", tag("small", f"UTC{old}")))
        st.altair_chart(records_chart(seen.value), theme=None, width="stretch", key="rf_records")


def alerts(sources: Sources, tenant: str, mask: Mask) -> None:
    """Newest first."""
    seen, now_ms = sources.promises(tenant), sources.clock()
    found = seen.value.alerts[:SHOWN_ALERTS] if seen.value else ()
    more = seen.value.alert_count - len(found) if seen.value else 0
    if seen.value is None:
        body = [tag("div", "The books have not answered yet.", cls="rf-quiet")]
    elif not found:
        body = [tag("div", "No alert so far.", cls="rf-quiet")]
    else:
        body = [alert(one, now_ms, mask) for one in found]
    st.html(tag("h3", "Alerts", tag("small", f"newest first, {more:,} more before" if more > 0 else "newest first")))
    st.html(together(*body))


def blocks(sources: Sources, tenant: str, mask: Mask) -> None:
    """What stands, what waits for a person, and the buttons."""
    seen, now_ms = sources.promises(tenant), sources.clock()
    found = seen.value.blocks if seen.value else ()
    first = found[:SHOWN_BLOCKS]
    every = sum(seen.value.block_counts.values()) if seen.value else 0
    more = (
        f"{every - len(first):,} more; `ringfence orders` has them"
        if every > len(first)
        else "newest first; what waits for you is on top"
    )
    st.html(tag("h3", "Blocks", tag("small", more.replace("`", ""))))
    if not first:
        st.html(
            tag("div", "No block stands and none waits." if seen.value else "The books have not answered yet.", cls="rf-quiet")
        )
    for one in first:
        # Keys name the block, not the order: an order is issued again each minute, and a press must not be lost by that.
        with st.container(key=f"rf_block_{one.status}_{one.key.text()}"):
            st.html(block(one, now_ms, mask))
            buttons(one)


def buttons(one: Block) -> None:
    """What a person can do about a block. The window that opens asks who and why."""
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if one.status == "waiting":
            pressed("Let it stand", "approve", one)
            pressed("Refuse", "refuse", one)
        else:
            pressed("Unblock", "unblock", one)


def pressed(label: str, verb: str, one: Block) -> None:
    choice = Choice(verb, one.key, one.order.order.order_id)
    if st.button(label, key=f"rf_{verb}_{one.key.text()}", on_click=choose, args=(choice,)):
        st.rerun()


def switches(sources: Sources, tenant: str) -> None:
    """What each switch does, and what it has not confirmed yet."""
    books = sources.promises(tenant).value
    if books and books.switches:
        st.html(tag("h3", "Switches"))
        st.html(table(("switch", "what it does", "not confirmed"), switch_table(books.switches), numbers_from=2))
