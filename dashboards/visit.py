"""Who looks at a page, at which tenant, and what they may do. Everything that a page shows or does goes by its `Visit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

from books import Connection, writing
from core.roles import EVERY, ROLES, Right, Rights, may, rights_of
from dashboards.access import session_of
from dashboards.rendering import Mask, mask_of
from dashboards.sources import Sources
from dashboards.tags import tag
from services import people

ACTING, REVEALED = "rf_acting", "rf_revealed"
"""Session state: the name of the operator who entered the action token; whether whole numbers are shown."""

STILL_S = 5.0
"""How often an open page looks whether its session still holds."""


@dataclass(frozen=True)
class Person:
    """`operator`: of the built-in tokens; `name` "" = an operator who has not entered the action token."""

    name: str
    rights: Rights
    operator: bool = False
    parties: tuple[tuple[str, str], ...] = ()  # (tenant, party): customers whose portal the person opens


@dataclass(frozen=True)
class Visit:
    """`tenant` "" = all tenants, which only a person with a role for every tenant may see."""

    sources: Sources
    person: Person
    tenant: str

    @property
    def now_ms(self) -> int:
        return self.sources.clock()

    @property
    def mask(self) -> Mask:
        """Numbers are whole only for who may see them, and asked for it."""
        return mask_of(bool(st.session_state.get(REVEALED)) and self.may("numbers"))

    def may(self, right: Right, tenant: str | None = None) -> bool:
        """Whether the person may do this, for a tenant (None = the one that is shown)."""
        return may(self.person.rights, right, self.tenant if tenant is None else tenant)

    def could(self, right: Right, tenant: str | None = None) -> bool:
        """Whether to show a button for it: an operator is asked for the action token when it is pressed."""
        return self.may(right, tenant) or self.person.operator

    def allowed(self, right: Right) -> bool:
        """Whether the person may open this page; if not, the page says so and shows nothing else."""
        if self.may(right):
            return True
        st.html(tag("div", f"This page needs a role with the right “{right}” for {self.tenant or 'every tenant'}, which you do not have. "
                    "A tenant admin gives roles with `ringfence user role`.", cls="rf-quiet"))  # fmt: skip
        return False

    @contextmanager
    def books(self, right: Right, tenant: str | None = None) -> Iterator[Connection]:
        """The books, for an action. Raises `PermissionError` if the right is missing now, whatever the page has drawn before."""
        if not self.may(right, tenant) or not self.person.name:
            raise PermissionError(f"you may not do this for {(self.tenant if tenant is None else tenant) or 'every tenant'}")
        with writing(self.sources.engine()) as conn:
            yield conn


def person(sources: Sources) -> Person:
    """Who looks, by the session's cookie and the books as they are now. Without a session that holds the script ends with a text."""
    found = who_now(sources)
    if isinstance(found, str):
        _over(found)
    _still(sources, found)
    return found


@st.fragment(run_every=STILL_S)
def _still(sources: Sources, drawn_for: Person) -> None:
    """Draws the page again when the session has ended, or the roles are others: also a page on which nothing else moves."""
    if who_now(sources) != drawn_for:
        st.rerun()


def who_now(sources: Sources) -> Person | str:
    """The person, or why there is none."""
    session = session_of(sources.settings.key, sources.cookie(), sources.clock() // 1000)
    if session is None:
        return "Your session has ended."
    if not session.name:
        acting = str(st.session_state.get(ACTING, ""))
        return Person(acting, {"": EVERY if acting else ROLES["read-only"]}, operator=True)
    found = sources.directory()
    if found.value is None:
        return f"The books have not answered yet, so your roles are not known. {found.error}".strip()
    user = found.value.users.get(session.name)
    if user is None or user.disabled_at_ms is not None or user.sessions_from_ms > session.from_s * 1000 + 999:
        return "Your session has ended: the password was changed, or the user disabled."
    return Person(user.name, rights_of(user.roles), parties=user.parties)


def _over(text: str) -> NoReturn:
    # By way of /leave: at /enter a browser with a cookie that is signed is sent back to the page.
    st.html(tag("div", tag("b", text), " ", tag("a", "Sign in", href="/leave", target="_self"), cls="rf-problem amber"))
    st.stop()


def reveal(visit: Visit) -> None:
    """Show whole numbers in this session, and write it down. Raises `Unavailable`: then they stay masked."""
    with visit.books("numbers") as conn:
        people.note_access(conn, visit.person.name, "revealed numbers", visit.tenant or "every tenant", visit.now_ms)
    st.session_state[REVEALED] = True
