"""Blocks and lists: what is refused, at which switch, what it has caught; what a new block would have refused; and who is never blocked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import streamlit as st

from books import Unavailable, reading
from core.decide import Listed
from core.orders import Key
from core.safety import fault
from core.text import amount, span
from dashboards.block_buttons import block_buttons
from dashboards.books_view import Block, at_switches
from dashboards.decision_dialog import Choice, choose, decide, last_message
from dashboards.layout import answered, heading, message, quiet, title
from dashboards.rendering import block, key_text, utc
from dashboards.tags import Safe, tag
from dashboards.tiles import table
from dashboards.visit import Visit
from services import alert_desk, blocks, lists, subjects
from services.alert_desk import Catches, Caught
from services.errors import ServiceError

EVERY_S = 4.0
SHOWN = 30
DAY_MS = subjects.DAY_MS
CAUGHT_MS = 7 * DAY_MS
KINDS: tuple[lists.Kind, ...] = ("number", "caller", "destination", "account", "trunk", "carrier")
LASTS = {"until it is taken off": 0, "1 day": DAY_MS, "7 days": 7 * DAY_MS, "30 days": 30 * DAY_MS}
LISTS: dict[lists.List, str] = {
    "protected": "no order may block these; their calls pass before any look-up",
    "allow": "their calls pass at the switches, whatever blocks say; an automatic order that affects one waits for a person",
    "deny": "their calls are refused at the switches that enforce; a carrier gets no calls",
}


def blocks_and_lists(visit: Visit) -> None:
    if not visit.allowed("fraud"):
        return
    title("Blocks and lists")
    last_message(visit)
    now, new, listed = st.tabs(["Blocks", "A new block", "Lists"])
    with now:
        standing(visit)
    with new:
        preview(visit)
    with listed:
        listing(visit)
    decide(visit)


# --- what is blocked ---


@st.fragment(run_every=EVERY_S)
def standing(visit: Visit) -> None:
    """Blocks, waiting ones first, each with its state at every switch and what it has caught."""
    kind_box, value_box = st.columns([1, 3])
    with kind_box:
        kind = str(st.selectbox("Of", ("all", "account", "trunk", "number", "range"), key="of_kind", bind="query-params"))
    with value_box:
        typed = st.text_input("Which", key="of_block", bind="query-params", max_chars=128, disabled=kind == "all")
    try:
        value = "" if kind == "all" or not typed.strip() else _value(visit, kind, typed)
    except ServiceError as wrong:
        message(str(wrong))
        return
    latest = visit.sources.asked(("blocks", visit.tenant, kind, value), lambda _: _read(visit, kind, value), fresh_ms=2_000)
    catches = visit.sources.asked(("catches", visit.tenant), _catches(visit), fresh_ms=20_000)
    if not answered(latest, visit.now_ms, "Blocks") or latest.value is None:
        return
    if not latest.value:
        quiet("Nothing is blocked, and nothing waits for approval." if kind == "all" else "Nothing of it is blocked.")
    for one in latest.value:
        with st.container(key=f"rf_block_{one.status}_{one.key.text()}"):
            st.html(block(one, visit.now_ms, visit.mask, caught(catches.value, one.key, visit.now_ms)))
            block_buttons(visit, one)
    if len(latest.value) == SHOWN:
        quiet(f"The first {SHOWN}; choose an account, a trunk, a number or a range for others.")


def _value(visit: Visit, kind: str, typed: str) -> str:
    with reading(visit.sources.engine()) as conn:
        return subjects.parse(conn, kind, typed)


def _read(visit: Visit, kind: str, value: str) -> list[Block]:
    with reading(visit.sources.engine()) as conn:
        found = subjects.blocks_of(conn, kind if value else "", value, visit.tenant, visit.now_ms)
        found.sort(key=lambda one: (one.newest.status != "waiting", -one.since_ms, one.newest.order.key.text()))
        return [Block(one.newest, one.since_ms, one.until_ms, at_switches(conn, one.newest)) for one in found[:SHOWN]]


def _catches(visit: Visit) -> Callable[[Any], Catches]:
    def ask(warehouse: subjects.Ask) -> Catches:
        with reading(visit.sources.engine()) as conn:
            return alert_desk.catches(warehouse, conn, visit.tenant, visit.now_ms - CAUGHT_MS)

    return ask


def caught(catches: Catches | None, key: Key, now_ms: int) -> str:
    """What a block has caught, for a person."""
    if catches is None:
        return ""
    found = catches.by_key.get(key, Caught())
    if not (found.refused or found.marked):
        return "caught nothing in the last 7 days"
    refused = f"refused {found.refused:,} calls" if found.refused else ""
    marked = f"would have refused {found.marked:,} calls" if found.marked else ""
    return f"{' and '.join(filter(None, (refused, marked)))} in the last 7 days, the last {utc(found.last_ms, now_ms)}"


# --- a new one ---


def preview(visit: Visit) -> None:
    """What a new block would have refused in the last 24 hours, before anybody orders it."""
    if not visit.tenant:
        quiet("Choose a tenant: a block is of one tenant's calls.")
        return
    with st.form("rf_new_block", border=False):
        side_box, name_box = st.columns([1, 3])
        with side_box:
            side = str(st.selectbox("Calls of", ("account", "trunk"), key="rf_new_side"))
        with name_box:
            name = st.text_input("Its name", key="rf_new_name", max_chars=64)
        caller_box, range_box = st.columns(2)
        with caller_box:
            caller = st.text_input("Only this caller", key="rf_new_caller", max_chars=40, placeholder="all callers")
        with range_box:
            called = st.text_input("Only called numbers that begin with", key="rf_new_range", max_chars=40, placeholder="all numbers")
        asked = st.form_submit_button("What would it have refused?", key="rf_new_ask")
    if not (asked or st.session_state.get("rf_new_shown")) or not name.strip():
        return
    st.session_state["rf_new_shown"] = True
    try:
        key = _key(visit, side, name, caller, called)
    except ServiceError as wrong:
        message(str(wrong))
        return
    of, from_ms = subjects.fields_of(key), visit.now_ms - subjects.DAY_MS
    latest = visit.sources.asked(
        ("would", visit.tenant, *of.items()), lambda ask: subjects.summed(ask, of, visit.tenant, from_ms, visit.now_ms), wait_s=4.0
    )
    if not answered(latest, visit.now_ms, "Its calls") or latest.value is None:
        return
    sums = latest.value
    sold = " and ".join(f"{amount(sold)} {currency}" for currency, sold, _ in sums.money if sold) or "no money"
    what = f"In the last 24 hours it would have refused {sums.calls:,} answered calls of {sums.callers:,} callers to {sums.called:,} numbers"
    talk = span(sums.talk_ms) if sums.talk_ms else "no talk"
    st.html(tag("div", tag("strong", *key_text(key, visit.mask)), tag("p", f"{what}: {talk}, sold for {sold}."), cls="rf-card opened"))
    if visit.could("block") and st.button("Block", key="rf_new_do", type="primary", on_click=choose, args=(Choice("block", key),)):
        st.rerun()


def _key(visit: Visit, side: str, name: str, caller: str, called: str) -> Key:
    """The key that was typed, its numbers read by the account's dial plan. Raises `ServiceError`."""
    from core.numbers import number_of, range_of

    names = {"account" if side == "account" else "ingress_trunk": name.strip()}
    with reading(visit.sources.engine()) as conn:
        plan = blocks.plan(conn, names.get("account", ""), names.get("ingress_trunk", ""))
    try:
        a_number = number_of(caller, plan) if caller.strip() else ""
        b_range = range_of(called, plan) if called.strip() else ""
    except ValueError as wrong:
        raise ServiceError(str(wrong)) from None
    key = Key(tenant=visit.tenant, a_number=a_number, b_range=b_range, **names)
    if wrong_key := fault(key):
        raise ServiceError(f"This cannot be blocked: {wrong_key}.")
    return key


# --- lists ---


def listing(visit: Visit) -> None:
    """The three lists, and a form to change them."""

    def read(_: Any) -> list[Shown]:
        with reading(visit.sources.engine()) as conn:
            states = lists.at_switches(conn)
            return [Shown(one, states.get(lists.listed_id(one), {})) for one in lists.every(conn, visit.tenant)]

    def count(ask: subjects.Ask) -> Mapping[str, Caught]:
        return lists.caught(ask, visit.tenant, visit.now_ms - CAUGHT_MS)

    filter_text = st.text_input("Find", key="find", bind="query-params", max_chars=64, placeholder="a number, a name, a reason").strip().lstrip("+")
    latest = visit.sources.asked(("lists", visit.tenant), read, fresh_ms=5_000)
    counted = visit.sources.asked(("listed", visit.tenant), count, fresh_ms=20_000)
    if visit.may("approve") and visit.person.name:
        change(visit)
    if not answered(latest, visit.now_ms, "Lists") or latest.value is None:
        return
    for name, note in LISTS.items():
        wanted = filter_text.lower()
        found = [one for one in latest.value if one.row.list == name and wanted in f"{one.row.value} {one.row.why} {one.row.who}".lower()]
        heading(name.capitalize(), note + (f"; the first 50 of {len(found):,}" if len(found) > 50 else ""))
        if not found:
            quiet("No entry." if not filter_text else "No entry fits.")
            continue
        rows = [_row(visit, one, counted.value) for one in found[:50]]
        columns = ("kind", "value", "of", "until", "at the switches", "caught in 7 days", "why", "by", "since")
        st.html(table(columns, rows, numbers_from=len(columns)))


class Shown(NamedTuple):
    """An entry, and the switches that should have it (-> whether they have acknowledged it)."""

    row: Listed
    switches: Mapping[str, bool]


def _row(visit: Visit, one: Shown, counted: Mapping[str, Caught] | None) -> tuple[str | Safe, ...]:
    row, found = one.row, (counted or {}).get(lists.listed_id(one.row))
    of = " ".join(filter(None, (row.tenant or "every tenant", row.account)))
    there = ", ".join(f"{name}{'' if done else ' (on its way)'}" for name, done in sorted(one.switches.items()))
    calls = f"{found.refused:,} refused, {found.marked:,} marked" if found else "" if counted is None or row.list != "deny" else "nothing"
    until = utc(row.until_ms, visit.now_ms) if row.until_ms else ""
    return (
        row.kind, visit.mask(row.value, ()), of, until, there, calls, visit.mask(row.why, ()), row.who, utc(row.at_ms, visit.now_ms),
    )  # fmt: skip


def change(visit: Visit) -> None:
    """Add an entry or take one off."""
    with st.popover("Change a list"), st.form("rf_list", border=False, clear_on_submit=True):
        name = st.selectbox("List", list(LISTS), key="rf_list_name")
        kind = st.selectbox("Kind", KINDS, key="rf_list_kind")
        value = st.text_input("Value", key="rf_list_value", max_chars=128, placeholder="of a destination the country, as LV")
        account = st.text_input("Only calls of the account", key="rf_list_account", max_chars=64, placeholder="all accounts")
        lasts = LASTS[st.selectbox("For", list(LASTS), key="rf_list_for")]
        why = st.text_input("Reason", key="rf_list_why", max_chars=500)
        remove = st.checkbox("Take it off the list", key="rf_list_remove")
        if not st.form_submit_button("Change", key="rf_list_do", type="primary"):
            return
        # A protected number holds for every tenant, so it takes a role for every tenant.
        every_tenant = name == "protected" and kind == "number"
        try:
            with visit.books("approve", "" if every_tenant else None) as conn:
                until_ms = visit.now_ms + lasts if lasts and not remove else 0
                stored = lists.change(
                    conn, name, kind, value.strip(), remove, visit.person.name, why, visit.now_ms, visit.tenant, account.strip(), until_ms
                )
        except (ServiceError, Unavailable, PermissionError) as wrong:
            message(f"Not done: {wrong}")
            return
        visit.sources.forget("lists")
        message(f"{kind} {visit.mask(stored, ())} is {'off' if remove else 'on'} the list {name}.", done=True)
