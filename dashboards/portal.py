"""The customers' portal: its own entry, with the brand of its host name or of the tenant. A customer's user sees the own accounts and no page
of the desk."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import streamlit as st

from books import Engine, reading
from dashboards.layout import again, quiet
from dashboards.sources import Sources
from dashboards.tags import Safe, tag
from dashboards.views import customer
from dashboards.views.customer import Customer
from dashboards.visit import Person
from services import portal
from services.invoice_pdf import Style

PAGES: tuple[tuple[str, str, Callable[[Customer], None]], ...] = (
    ("usage", "Usage", customer.usage), ("my-calls", "Calls", customer.calls), ("my-invoices", "Invoices", customer.invoices),
)  # fmt: skip
KINDS = {".svg": "image/svg+xml", ".png": "image/png"}


class Known(NamedTuple):
    """Of one customer: its accounts and the brand of its tenant."""

    accounts: tuple[str, ...]
    style: Style


def style_here(sources: Sources) -> Style | None:
    """The brand of the host name that the browser asked for; None = the desk's."""
    return sources.style(sources.host())


def open_portal(sources: Sources, person: Person, here: Style | None) -> None:
    """Draws the page of the address, for a customer's user."""
    side = st.sidebar
    if not person.parties:
        with side:
            head(here or Style())
        quiet("This address is for customers. Your user has no customer account here.")
        return
    with side:
        place = st.container()
        several = len({one for one, _ in person.parties}) > 1
        labels = {f"{party} ({tenant})" if several else party: (tenant, party) for tenant, party in person.parties}
        chosen = next(iter(labels))
        if len(labels) > 1:
            chosen = str(st.selectbox("Customer", list(labels), key="customer", bind="query-params", label_visibility="collapsed"))
    tenant, party = labels[chosen]
    latest = sources.asked(("portal", tenant, party), lambda _: known(sources.engine(), sources.settings.home, tenant, party), fresh_ms=10_000)
    with place:
        head(here or (latest.value.style if latest.value else Style()))
    if latest.value is None:
        quiet("Your accounts cannot be read now. Please try again in a minute." if latest.error else "Your accounts: being read.")
        again()
        return
    mine = Customer(sources, person.name, tenant, party, latest.value.accounts)
    pages = []
    for path, title, draw in PAGES:
        pages.append(st.Page(partial(draw, mine), title=title, url_path=path, default=path == PAGES[0][0]))
    page = st.navigation(pages)
    with side:
        st.text(f"You are {person.name}.")
        st.html(tag("a", "Sign out", href="/leave", target="_self"))
    page.run()


def known(engine: Engine, home: str, tenant: str, party: str) -> Known:
    with reading(engine) as conn:
        return Known(portal.accounts_of(conn, tenant, party), portal.style_of_tenant(conn, home, tenant))


def head(style: Style) -> None:
    """The brand's logo and name, above a line of its colour."""
    name = style.brand.title or (style.folder.name if style.folder else "Your account")
    logo = picture(style)
    inside: tuple[str | Safe, ...] = (tag("img", "", src=logo, alt=name),) if logo else (tag("b", name),)
    st.html(tag("div", *inside, cls="rf-brand", style=f"border-bottom: 3px solid {style.brand.primary}"))


def picture(style: Style) -> str:
    """The logo as a data address: the browser fetches nothing, and an SVG in it runs no script."""
    if style.folder is None or not style.brand.logo:
        return ""
    file = style.folder / style.brand.logo
    kind = KINDS.get(file.suffix.lower(), "")
    try:
        return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}" if kind else ""
    except OSError:
        return ""
