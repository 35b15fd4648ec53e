"""The app: its pages, in the order of the menu. A page that a person may not open is not in the menu, and refuses by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import streamlit as st

from core.roles import Right
from dashboards import uploads
from dashboards.identity import side
from dashboards.portal import open_portal, style_here
from dashboards.sources import Sources
from dashboards.views.alerts import alerts
from dashboards.views.blocks import blocks_and_lists
from dashboards.views.calls import calls
from dashboards.views.cases import cases_page
from dashboards.views.controls import controls_page
from dashboards.views.decks import decks
from dashboards.views.disputes import disputes_page
from dashboards.views.health import health
from dashboards.views.invoices import invoices_page
from dashboards.views.people import people_page
from dashboards.views.quote import quote
from dashboards.views.reconciliation import reconciliation_page
from dashboards.views.routes import routes_and_margin
from dashboards.views.rules import rules
from dashboards.views.runs import runs
from dashboards.views.subject import subject
from dashboards.views.wall import wall
from dashboards.views.waterfall import waterfall_page
from dashboards.visit import Visit, person

SIDE_PX = 210
STYLE = Path(__file__).parent / "style.css"


class Entry(NamedTuple):
    """A page. `path`: its address; `right`: what a person needs to open it."""

    path: str
    title: str
    section: str
    right: Right
    draw: Callable[[Visit], None]


PAGES = (
    Entry("wall", "Wall", "Watch", "look", wall),
    Entry("alerts", "Alerts", "Watch", "fraud", alerts),
    Entry("cases", "Cases", "Watch", "fraud", cases_page),
    Entry("blocks", "Blocks and lists", "Watch", "fraud", blocks_and_lists),
    Entry("rules", "Rule lab", "Watch", "fraud", rules),
    Entry("subject", "Subject", "Look up", "look", subject),
    Entry("calls", "Calls", "Look up", "look", calls),
    Entry("routes", "Routes and margin", "Rates", "rates", routes_and_margin),
    Entry("quote", "Quote", "Rates", "rates", quote),
    Entry("decks", "Decks", "Rates", "rates", decks),
    Entry("invoices", "Invoices", "Money", "money", invoices_page),
    Entry("reconciliation", "Reconciliation", "Money", "money", reconciliation_page),
    Entry("disputes", "Disputes", "Money", "money", disputes_page),
    Entry("controls", "Controls", "Money", "money", controls_page),
    Entry("waterfall", "Waterfall", "Money", "money", waterfall_page),
    Entry("runs", "Rating runs", "Money", "money", runs),
    Entry("health", "Health", "Run", "look", health),
    Entry("people", "People", "Run", "people", people_page),
)  # fmt: skip


def desk(sources: Sources) -> None:
    """Draws the page of the address."""
    here = style_here(sources)
    name = "Ringfence" if here is None else here.brand.title or "Your account"
    st.set_page_config(page_title=name, layout="wide", initial_sidebar_state=SIDE_PX)
    st.html(STYLE)
    someone = person(sources)
    if here is not None or (someone.parties and not someone.rights):
        open_portal(sources, someone, here)
        return
    visit = side(sources, someone)
    menu: dict[str, list[st.Page]] = {}
    for entry in PAGES:
        menu.setdefault(entry.section, []).append(_page(entry, visit))
    page = st.navigation(menu, expanded=True)
    uploads.open_page(page.url_path)
    page.run()


def _page(entry: Entry, visit: Visit) -> st.Page:
    def draw() -> None:
        entry.draw(visit)

    visibility: Literal["visible", "hidden"] = "visible" if visit.may(entry.right) or visit.person.operator else "hidden"
    return st.Page(draw, title=entry.title, url_path=entry.path, default=entry is PAGES[0], visibility=visibility)
