"""What a person does on a page: one transaction, with what was wrong in words; and a file that is prepared by one press and saved by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from books import BooksError, Connection, Unavailable
from books.invoices import Refused
from core.roles import Right
from dashboards.layout import message
from dashboards.visit import Visit
from services import people
from services.errors import ServiceError
from warehouse import WarehouseError

FAULTS = (ServiceError, BooksError, Unavailable, Refused, PermissionError, WarehouseError, ValueError)
"""What an action is refused with; anything else is a bug."""


def act(
    visit: Visit, right: Right, do: Callable[[Connection], object], forget: tuple[str, ...] = (), tenant: str | None = None
) -> bool:  # fmt: skip
    """Do it in one transaction, and read again what it changes (`forget`: the questions). False = nothing was changed, and the page says why."""
    try:
        with visit.books(right, tenant) as conn:
            do(conn)
    except FAULTS as wrong:
        message(f"Nothing was changed: {str(wrong).rstrip('.')}.")
        return False
    for name in forget:
        visit.sources.forget(name)
    return True


class Prepared(NamedTuple):
    """A file that can be saved. `label`: what is in it, as on the button."""

    content: bytes
    name: str
    kind: str
    label: str


def download(visit: Visit, key: str, of: str, label: str, make: Callable[[], Prepared], noted: str, tenant: str | None = None) -> None:
    """The button that prepares a file, and then the one that saves it. Taking it is written down as `noted`, about `of`."""
    if st.button(label, key=f"{key}_do"):
        try:
            with st.spinner("Preparing the file."):
                made = make()
            with visit.books("export", tenant) as conn:
                people.note_access(conn, visit.person.name, noted, of, visit.now_ms)
        except FAULTS as wrong:
            message(f"Not made: {str(wrong).rstrip('.')}.")
            return
        st.session_state[key] = of, made
    ready = st.session_state.get(key)
    if isinstance(ready, tuple) and ready[0] == of:
        made = ready[1]
        st.download_button(f"Save {made.label}", made.content, made.name, made.kind, key=f"{key}_save")
