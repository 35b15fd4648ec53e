"""A person decides: the window in which they say who they are, why, and do it.

It stands outside of what refreshes, so that nothing of what is being typed is lost.
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
from dashboards.rendering import key_words, mask_of
from dashboards.sources import Sources
from dashboards.tags import tag
from services import blocks

log = structlog.get_logger("ringfence.pages")

CHOSEN, ACTING, SAID = "rf_chosen", "rf_acting", "rf_said"
"""Of the session: what is being decided, who acts, and what was said last."""

HOURS = {"1 hour": 3_600_000, "24 hours": 86_400_000, "7 days": 604_800_000}


class Choice(NamedTuple):
    """What a person has pressed: unblock (a key), approve or refuse (an order that waits)."""

    verb: str
    key: Key
    order_id: str


class Said(NamedTuple):
    words: str
    done: bool


WORDS = {
    "unblock": (
        "Unblock",
        "Calls pass again at once: every automatic order that overlaps this is lifted, and none stands for the time below.",
    ),
    "approve": (
        "Let the block stand",
        "The order has waited for a person. From now on it is delivered to the switches, for its whole life.",
    ),
    "refuse": ("Refuse the order", "The block does not come. No automatic order that overlaps it stands for a day."),
}


def _done(conn: Connection, choice: Choice, who: str, why: str, now_ms: int, for_ms: int) -> str:
    """Does it; what was done, in words. Raises `Refused`."""
    if choice.verb == "approve":
        return f"{counted(len(blocks.approve(conn, choice.order_id, who, why, now_ms)), 'order')} let through: the block stands."
    if choice.verb == "refuse":
        return f"{counted(len(blocks.deny(conn, choice.order_id, who, why, now_ms)), 'order')} lifted, and none comes for a day."
    lifted = blocks.unblock(conn, choice.key, who, why, now_ms, for_ms)
    done = f"{counted(len(lifted.order_ids), 'order')} lifted; no automatic order that overlaps it stands for {span(for_ms)}."
    still = " ".join(f"Still blocked by {kept.order.by}: {kept.order.key.text()}." for kept in lifted.still)
    return f"{done} {still}".strip()


def choose(choice: Choice) -> None:
    """A button's callback."""
    st.session_state[CHOSEN] = choice


def leave() -> None:
    st.session_state.pop(CHOSEN, None)


def acting() -> str:
    """Who acts in this session; "" = nobody: they look."""
    return str(st.session_state.get(ACTING, ""))


def enter(sources: Sources, name: str, token: str) -> str:
    """Takes a person's word for who they are, if they have the token. Returns what is wrong, or ""."""
    if bad := fault_of_name(name):
        return bad
    if not same(token, sources.given.act):
        log.warning("a wrong token to act was entered")
        return "That is not the token to act. It stands in state/secrets.json as pages_act_token."
    st.session_state[ACTING] = name.strip()
    return ""


def ask_who(prefix: str) -> tuple[str, str]:
    """Name and token, where they are not known yet."""
    name = st.text_input("Your name", key=f"{prefix}_name", max_chars=64, placeholder="as the audit shall name you")
    token = st.text_input("Token to act", key=f"{prefix}_token", type="password", autocomplete="off")
    return name, token


def decide(sources: Sources) -> None:
    """The window, while something is chosen."""
    choice = st.session_state.get(CHOSEN)
    if isinstance(choice, Choice):
        title = WORDS[choice.verb][0]
        st.dialog(title, on_dismiss=leave)(_window)(sources, choice)


def _window(sources: Sources, choice: Choice) -> None:
    title, what = WORDS[choice.verb]
    whom = tag("strong", *key_words(choice.key, mask_of(bool(acting()))))
    st.html(tag("div", whom, tag("div", f"tenant {choice.key.tenant}"), tag("p", what), cls="rf-window"))
    with st.form("rf_decide", border=False):
        name, token = (acting(), "") if acting() else ask_who("rf_decide")
        why = st.text_input("Why", key="rf_why", max_chars=500, placeholder="for whoever reads the audit: a ticket, who called")
        hours = (
            st.selectbox("No automatic order for", list(HOURS), index=1, key="rf_for") if choice.verb == "unblock" else "24 hours"
        )
        if st.form_submit_button(title, key="rf_do", type="primary", width="stretch"):
            bad = "" if acting() else enter(sources, name, token)
            bad = bad or ("" if why.strip() else "Say why: the audit keeps it.")
            if not bad:
                bad = do(sources, choice, why.strip(), HOURS[hours])
            if bad:
                st.html(tag("div", bad, cls="rf-said bad"))
            else:
                leave()
                st.rerun()


def do(sources: Sources, choice: Choice, why: str, for_ms: int) -> str:
    """Does it, and keeps what was done for the page to say. Returns what is wrong, or ""."""
    try:
        with writing(sources.engine()) as conn:
            done = _done(conn, choice, acting(), why, sources.clock(), for_ms)
    except Refused as refused:
        return f"Not done: {refused}."
    except Unavailable as error:
        log.warning("the books cannot be written", error=str(error)[:200])
        return "Not done: the books cannot be written now (RINGFENCE_BOOKS). Try again; `ringfence unblock --all` acts at the switches themselves."
    st.session_state[SAID] = Said(f"{WORDS[choice.verb][0]}, {choice.key.text()}: {done}", True)
    sources.renew_promises("")
    sources.renew_promises(choice.key.tenant)
    return ""
