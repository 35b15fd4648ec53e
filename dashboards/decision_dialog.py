"""The dialog in which a person unblocks, approves or denies: the reason and the action; of an operator, the name and the token too.

It is outside of the part that refreshes, so that nothing typed is lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import streamlit as st
import structlog

from books import Connection, Unavailable, orders
from books.orders import Refused
from books.verdicts import WORDS
from core.alert_text import counted
from core.decide import LIVE
from core.orders import Key
from core.roles import Right
from core.text import moment, span
from dashboards.identity import sign_in, sign_in_fields
from dashboards.rendering import key_text
from dashboards.tags import tag
from dashboards.visit import Visit, who_now
from services import blocks, verdicts
from services.errors import ServiceError

log = structlog.get_logger("ringfence.pages")

CHOSEN, MESSAGE = "rf_chosen", "rf_message"
"""Session state: the open decision, and the last message."""

HOURS = {"1 hour": 3_600_000, "24 hours": 86_400_000, "7 days": 604_800_000}


class Choice(NamedTuple):
    """The button that was pressed: block or unblock (a key), approve or deny (a waiting order), or a verdict on an alert. `why`: a reason to begin
    with; `about`: what a verdict is about, else the key is shown."""

    verb: str
    key: Key
    order_id: str = ""
    why: str = ""
    finding_id: str = ""
    about: str = ""


class Message(NamedTuple):
    text: str
    done: bool


ACTIONS = {
    "block": ("Block", "New calls of this key are refused at every switch that enforces, until the time below is over. Protected numbers pass."),
    "unblock": (
        "Unblock",
        "Calls pass again at once. Every automatic order that overlaps this key is lifted, and none blocks it again for the time below.",
    ),
    "approve": (
        "Approve",
        "This order waits for approval. Once approved it is delivered to the switches, until it expires.",
    ),
    "deny": ("Deny", "The order is lifted. No automatic order that overlaps it blocks for 24 hours."),
    "fraud": ("Fraud", "The subject's other open alerts get the same verdict. What is refused stays refused."),
    "not fraud": (
        "Not fraud",
        "The orders of this alert are lifted. Its detector says nothing about this subject for the time below, and refuses nothing.",
    ),
    "unsure": ("Unsure", "The verdict is stored, and nothing follows from it."),
}


RIGHT: dict[str, Right] = {"block": "block", "unblock": "block", "approve": "approve", "deny": "approve", **dict.fromkeys(WORDS, "block")}


def _done(conn: Connection, choice: Choice, who: str, why: str, now_ms: int, for_ms: int, cut: bool) -> str:
    """Do it; returns a message. Raises `Refused` and `ServiceError`."""
    if choice.finding_id:
        return verdicts.text_of(verdicts.give(conn, choice.finding_id, choice.verb, who, why, now_ms, for_ms))
    if choice.verb == "block":
        live = orders.newest(conn, choice.key)
        if live is not None and live.status in LIVE and not live.automatic and live.order.expires_at_ms > now_ms:
            raise Refused(f"{live.order.by} has blocked it already, until {moment(live.order.expires_at_ms, now_ms)} UTC")
        blocked = blocks.block(conn, choice.key, for_ms, who, why, now_ms, cut=cut)
        unknown = "" if blocked.known else " The config in force has no such account: no call can match."
        mode = "refused" if blocked.status == "standing" else "marked only, because no switch enforces"
        return f"its new calls are {mode} for {span(for_ms)}.{unknown}"
    if choice.verb == "approve":
        approved = counted(len(blocks.approve(conn, choice.order_id, who, why, now_ms, cut)), "order")
        return f"{approved} approved: the block is delivered to the switches now."
    if choice.verb == "deny":
        denied = counted(len(blocks.deny(conn, choice.order_id, who, why, now_ms)), "order")
        return f"{denied} denied: no automatic order that overlaps it blocks for 24 h."
    lifted = blocks.unblock(conn, choice.key, who, why, now_ms, for_ms)
    done = f"{counted(len(lifted.order_ids), 'order')} lifted; no automatic order that overlaps it blocks for {span(for_ms)}."
    still = " ".join(f"Still blocked by an order of {one.order.by}: {one.order.key.text()}." for one in lifted.still)
    return f"{done} {still}".strip()


def choose(choice: Choice) -> None:
    """Callback of a button."""
    st.session_state[CHOSEN] = choice


def close() -> None:
    st.session_state.pop(CHOSEN, None)


def last_message(visit: Visit) -> None:
    """The result of the last action."""
    message = st.session_state.get(MESSAGE)
    if isinstance(message, Message):
        st.html(tag("div", visit.mask(message.text, ()), cls="rf-message " + ("good" if message.done else "bad")))


def decide(visit: Visit) -> None:
    """Show the dialog while a decision is open."""
    choice = st.session_state.get(CHOSEN)
    if isinstance(choice, Choice):
        title = ACTIONS[choice.verb][0]
        st.dialog(title, on_dismiss=close)(_window)(visit, choice)


def _window(visit: Visit, choice: Choice) -> None:
    title, what = ACTIONS[choice.verb]
    whom = tag("strong", *([choice.about] if choice.about else key_text(choice.key, visit.mask)))
    st.html(tag("div", whom, tag("div", f"tenant {choice.key.tenant}"), tag("p", what), cls="rf-window"))
    with st.form("rf_decide", border=False):
        name, token = (visit.person.name, "") if visit.person.name else sign_in_fields("rf_decide")
        why = st.text_input("Reason", choice.why, key="rf_why", max_chars=500, placeholder="for the audit log: a ticket, who called")
        label, most = {"unblock": ("No automatic block for", 1), "block": ("For", 0), "not fraud": ("Quiet for", 2)}.get(choice.verb, ("", 0))
        hours = st.selectbox(label, list(HOURS), index=most, key="rf_for") if label else "24 hours"
        cut = choice.verb in ("block", "approve") and st.checkbox("End its calls in progress as well (never an emergency call)", key="rf_cut")
        if st.form_submit_button(title, key="rf_do", type="primary", width="stretch", shortcut="Enter"):
            bad = "" if visit.person.name else sign_in(visit.sources, name, token)
            bad = bad or ("" if why.strip() else "Enter a reason: it is recorded in the audit log.")
            if not bad:
                # The rights of now: an operator has just entered the token, a role may have been taken meanwhile.
                who = who_now(visit.sources)
                bad = who if isinstance(who, str) else do(replace(visit, person=who), choice, why.strip(), HOURS[hours], cut)
            if bad:
                st.html(tag("div", bad, cls="rf-message bad"))
            else:
                close()
                st.rerun()


def do(visit: Visit, choice: Choice, why: str, for_ms: int, cut: bool = False) -> str:
    """Do it, and store the message for the page. Returns what is wrong, or ""."""
    try:
        with visit.books(RIGHT[choice.verb], choice.key.tenant) as conn:
            done = _done(conn, choice, visit.person.name, why, visit.now_ms, for_ms, cut)
    except (Refused, PermissionError, ServiceError) as refused:
        return f"Not done: {str(refused).rstrip('.')}."
    except Unavailable as error:
        log.warning("the books cannot be written", error=str(error)[:200])
        return (
            "Not done: the books cannot be written now (RINGFENCE_BOOKS). Try again. To turn all blocks off at the switches themselves: "
            "`ringfence unblock --all`."
        )
    about = done if choice.finding_id else f"{ACTIONS[choice.verb][0]}, {choice.key.text()}: {done}"
    st.session_state[MESSAGE] = Message(about, True)
    visit.sources.refresh_books("")
    visit.sources.refresh_books(choice.key.tenant)
    visit.sources.forget("alerts")
    visit.sources.forget("blocks")
    return ""
