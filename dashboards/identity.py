"""The side of every page: the installation, the tenant that is shown, and who is signed in."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
import structlog

from books import Unavailable
from core.roles import EVERY
from dashboards.access import fault_of_name, same
from dashboards.sources import Sources
from dashboards.tags import tag
from dashboards.visit import ACTING, REVEALED, Person, Visit, reveal

log = structlog.get_logger("ringfence.pages")

ALL = "all tenants"


def choose_tenant(sources: Sources, person: Person) -> str:
    """The tenant that is shown; "" = all, for who has a role for every tenant. It is in the address. Where there is one tenant it is the first
    choice: most pages are one tenant's."""
    known = sources.directory().value
    names = known.tenants if known else ()
    options = [ALL, *names] if "" in person.rights else [name for name in names if name in person.rights]
    if not options:
        return next(iter(person.rights), "-")
    first = 1 if len(names) == 1 and options[0] == ALL else 0
    chosen = st.selectbox("Tenant", options, index=first, key="tenant", bind="query-params", label_visibility="collapsed")
    return "" if chosen == ALL else str(chosen)


def side(sources: Sources, person: Person) -> Visit:
    """Draws the side; returns the visit."""
    name = tag("div", tag("b", "Ringfence"), tag("span", Path(sources.settings.home).name, title=sources.settings.home), cls="rf-name")
    with st.sidebar:
        st.html(name)
        visit = Visit(sources, person, choose_tenant(sources, person))
        who(visit)
    return visit


def who(visit: Visit) -> None:
    """Who is signed in, and whether numbers are whole; or the form for the action token."""
    person = visit.person
    if not person.name:
        with st.popover("Sign in", width="stretch"), st.form("rf_enter", border=False):
            st.text("Until you sign in, numbers are masked and nothing can be unblocked.")
            entered = sign_in_fields("rf_enter")
            if st.form_submit_button("Sign in", key="rf_enter_do", type="primary", width="stretch"):
                if bad := sign_in(visit.sources, *entered):
                    st.html(tag("div", bad, cls="rf-message bad"))
                else:
                    st.rerun()
        return
    shown = bool(st.session_state.get(REVEALED)) and visit.may("numbers")
    # A label is Markdown, so the name is a text of its own.
    with st.popover("Signed in", width="stretch"):
        if person.operator:
            st.text(f"You act as {person.name} and see full numbers.")
            if st.button("Sign out", key="rf_leave", width="stretch"):
                st.session_state.pop(ACTING, None)
                st.session_state.pop(REVEALED, None)
                st.rerun()
            return
        st.text(f"You are {person.name}. Numbers are {'whole' if shown else 'masked'}.")
        if shown and st.button("Mask numbers", key="rf_mask", width="stretch"):
            st.session_state.pop(REVEALED, None)
            st.rerun()
        if not shown and visit.may("numbers") and st.button("Show whole numbers", key="rf_reveal", width="stretch"):
            try:
                reveal(visit)
            except Unavailable:
                st.text("Not done: the books cannot be written, and this is written down there.")
            else:
                st.rerun()
        st.html(tag("a", "Sign out", href="/leave", target="_self"))


def sign_in(sources: Sources, name: str, token: str) -> str:
    """Become an operator with the action token, under the entered name. Returns what is wrong, or ""."""
    if bad := fault_of_name(name):
        return bad
    if not same(token, sources.settings.act):
        log.warning("a wrong action token was entered")
        return "This action token is wrong. It is pages_act_token in state/secrets.json."
    st.session_state[ACTING] = name.strip()
    try:
        reveal(Visit(sources, Person(name.strip(), {"": EVERY}, operator=True), ""))
    except Unavailable:
        # A person must be able to unblock by whole numbers, above all when something is down.
        st.session_state[REVEALED] = True
        log.warning("numbers are shown, and the books could not be written", who=name.strip())
    return ""


def sign_in_fields(prefix: str) -> tuple[str, str]:
    """The fields for name and token."""
    name = st.text_input("Your name", key=f"{prefix}_name", max_chars=64, placeholder="as it will appear in the audit log")
    token = st.text_input("Action token", key=f"{prefix}_token", type="password", autocomplete="off")
    return name, token
