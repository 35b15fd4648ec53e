"""The dialog in which a person unblocks, approves or denies: who they are, the reason, and the action.

It is outside of the part that refreshes, so that nothing typed is lost.
"""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st
import structlog

from books import Connection, Unavailable, writing
from books.orders import Refused
from core.alert_text import counted
from core.orders import Key
from core.text import span
from dashboards.access import fault_of_name, same
from dashboards.rendering import key_text, mask_of
from dashboards.sources import Sources
from dashboards.tags import tag
from services import blocks

log = structlog.get_logger("ringfence.pages")

CHOSEN, ACTING, MESSAGE = "rf_chosen", "rf_acting", "rf_message"
"""Session state: the open decision, who is signed in, and the last message."""

HOURS = {"1 hour": 3_600_000, "24 hours": 86_400_000, "7 days": 604_800_000}


class Choice(NamedTuple):
    """The button that was pressed: unblock (a key), approve or deny (a waiting order)."""

    verb: str
    key: Key
    order_id: str


class Message(NamedTuple):
    text: str
    done: bool


ACTIONS = {
    "unblock": (
        "Unblock",
        "Calls pass again at once. Every automatic order that overlaps this key is lifted, and none blocks it again for the time below.",
    ),
    "approve": (
        "Approve",
        "This order waits for approval. Once approved it is delivered to the switches, until it expires.",
    ),
    "deny": ("Deny", "The order is lifted. No automatic order that overlaps it blocks for 24 hours."),
}


def _done(conn: Connection, choice: Choice, who: str, why: str, now_ms: int, for_ms: int) -> str:
    """Do it; returns a message. Raises `Refused`."""
    if choice.verb == "approve":
        approved = counted(len(blocks.approve(conn, choice.order_id, who, why, now_ms)), "order")
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


def acting() -> str:
    """Who is signed in to act in this session; "" = nobody."""
    return str(st.session_state.get(ACTING, ""))


def sign_in(sources: Sources, name: str, token: str) -> str:
    """Sign in with the action token, under the entered name. Returns what is wrong, or ""."""
    if bad := fault_of_name(name):
        return bad
    if not same(token, sources.settings.act):
        log.warning("a wrong action token was entered")
        return "This action token is wrong. It is pages_act_token in state/secrets.json."
    st.session_state[ACTING] = name.strip()
    return ""


def sign_in_fields(prefix: str) -> tuple[str, str]:
    """The fields for name and token."""
    name = st.text_input("Your name", key=f"{prefix}_name", max_chars=64, placeholder="as it will appear in the audit log")
    token = st.text_input("Action token", key=f"{prefix}_token", type="password", autocomplete="off")
    return name, token


def decide(sources: Sources) -> None:
    """Show the dialog while a decision is open."""
    choice = st.session_state.get(CHOSEN)
    if isinstance(choice, Choice):
        title = ACTIONS[choice.verb][0]
        st.dialog(title, on_dismiss=close)(_window)(sources, choice)


def _window(sources: Sources, choice: Choice) -> None:
    title, what = ACTIONS[choice.verb]
    whom = tag("strong", *key_text(choice.key, mask_of(bool(acting()))))
    st.html(tag("div", whom, tag("div", f"tenant {choice.key.tenant}"), tag("p", what), cls="rf-window"))
    with st.form("rf_decide", border=False):
        name, token = (acting(), "") if acting() else sign_in_fields("rf_decide")
        why = st.text_input("Reason", key="rf_why", max_chars=500, placeholder="for the audit log: a ticket, who called")
        hours = (
            st.selectbox("No automatic block for", list(HOURS), index=1, key="rf_for") if choice.verb == "unblock" else "24 hours"
        )
        if st.form_submit_button(title, key="rf_do", type="primary", width="stretch"):
            bad = "" if acting() else sign_in(sources, name, token)
            bad = bad or ("" if why.strip() else "Enter a reason: it is recorded in the audit log.")
            if not bad:
                bad = do(sources, choice, why.strip(), HOURS[hours])
            if bad:
                st.html(tag("div", bad, cls="rf-message bad"))
            else:
                close()
                st.rerun()


def do(sources: Sources, choice: Choice, why: str, for_ms: int) -> str:
    """Do it, and store the message for the page. Returns what is wrong, or ""."""
    try:
        with writing(sources.engine()) as conn:
            done = _done(conn, choice, acting(), why, sources.clock(), for_ms)
    except Refused as refused:
        return f"Not done: {refused}."
    except Unavailable as error:
        log.warning("the books cannot be written", error=str(error)[:200])
        return (
            "Not done: the books cannot be written now (RINGFENCE_BOOKS). Try again. To turn all blocks off at the switches themselves: "
            "`ringfence unblock --all`."
        )
    st.session_state[MESSAGE] = Message(f"{ACTIONS[choice.verb][0]}, {choice.key.text()}: {done}", True)
    sources.refresh_books("")
    sources.refresh_books(choice.key.tenant)
    return ""
