"""Pieces that pages share: a title, what to show while an answer is on its way, links between pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import streamlit as st

from core.text import span
from dashboards.polled import Latest
from dashboards.tags import Safe, tag

AGAIN_S = 1.0
OLD_MS = 30_000
"""An older answer is shown with its age."""


def title(text: str, note: str = "") -> None:
    """The title of a page, and a note beside it."""
    st.html(tag("h2", text, tag("small", note), cls="rf-page"))


def heading(text: str, note: str = "") -> None:
    st.html(tag("h3", text, tag("small", note)))


def quiet(text: str) -> None:
    """That there is nothing, or nothing yet."""
    st.html(tag("div", text, cls="rf-quiet"))


def message(text: str, done: bool = False) -> None:
    st.html(tag("div", text, cls=f"rf-message {'good' if done else 'bad'}"))


def back(label: str, name: str) -> None:
    """The button from one thing back to all of them: it takes `name` out of the address."""
    st.button(label, key=f"rf_{name}_back", on_click=_forget, args=(name,))


def _forget(name: str) -> None:
    st.query_params.pop(name, None)


def answered(latest: Latest[Any], now_ms: int, what: str) -> bool:
    """Whether there is an answer to draw. If there is none, or it is old, the page says why: never an empty place."""
    if latest.refused:
        message(latest.error)
        return False
    if latest.value is None:
        if latest.error:
            message(f"{what} cannot be read now: {latest.error.rstrip('.')}. The page asks again by itself.")
        else:
            quiet(f"{what}: being read.")
        again()
        return False
    if latest.error and now_ms - latest.at_ms > OLD_MS:
        message(f"{what}: {span(now_ms - latest.at_ms)} old: {latest.error.rstrip('.')}.")
    return True


def again() -> None:
    """Draw the page again in a second: an answer is on its way."""
    drawn = [False]

    @st.fragment(run_every=AGAIN_S)
    def wait() -> None:
        if drawn[0]:
            st.rerun()
        drawn[0] = True

    wait()


def address(page: str, tenant: str, **query: str) -> str:
    """The address of a page with its filters, which can be sent to a colleague.

    >>> address("subject", "t1", kind="account", of="a&b")
    '/subject?kind=account&of=a%26b&tenant=t1'
    """
    return f"/{page}?{urlencode({**query, **({'tenant': tenant} if tenant else {})}, quote_via=quote)}"


def link(text: str, page: str, tenant: str, **query: str) -> Safe:
    return tag("a", text, href=address(page, tenant, **query), target="_self")


def facts(pairs: Mapping[str, str | Safe]) -> Safe:
    """Names and values, one below the other."""
    return tag("dl", *(one for name, value in pairs.items() if value for one in (tag("dt", name), tag("dd", value))), cls="rf-facts")
