"""Controls of the money: green, not green, or not checked; with what was found, what it is worth, what to do, and how it was before."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from assurance.controls.protocol import Control, Result
from assurance.controls.registry import controls as registered
from books import BooksError, control_results, reading
from books.control_results import StoredResult
from dashboards.figures import by_currency, day
from dashboards.figures import money as money_text
from dashboards.layout import answered, back, facts, heading, link, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table, tile
from dashboards.visit import Visit
from services import controlling, periods
from services.errors import ServiceError
from warehouse import WarehouseError

STATES = {"passed": ("green", "stands-good"), "found": ("not green", "stands"), "not_checked": ("not checked", "waits")}
PAST = 6_000
"""Results that are read: 250 runs of all controls."""
SHOWN_RUNS = 60


def controls_page(visit: Visit) -> None:
    if not visit.allowed("money"):
        return
    title("Controls", "whether calls were lost or mispriced on the way to the bill; what could not be checked is never green")
    if not visit.tenant:
        quiet("Choose a tenant: controls are of one tenant's money.")
        return
    if visit.person.name and visit.may("settle"):
        ask_again(visit)

    def read(_: object) -> list[StoredResult]:
        with reading(visit.sources.engine()) as conn:
            return control_results.history(conn, visit.tenant, limit=PAST)

    latest = visit.sources.asked(("controls", visit.tenant), read, fresh_ms=30_000)
    if not answered(latest, visit.now_ms, "Controls") or latest.value is None:
        return
    if not latest.value:
        quiet("No control was run yet. Enter a period above, or run `ringfence controls --period 2026-10`.")
        return
    if name := st.query_params.get("control", ""):
        back("All controls", "control")
        one_control(visit, name, latest.value)
        return
    known = list(dict.fromkeys(one.period for one in latest.value))
    period = str(st.selectbox("Period", known, format_func=period_text, key="of_period"))
    of_period = newest(latest.value, period)
    summary(of_period)
    rows = [_row(visit, one.result, one.at_ms) for one in sorted(of_period, key=_worst_first)]
    head = ("control", "state", "checks that", "calls checked", "found", "money at stake", "run at")
    st.html(table(head, rows, numbers_from=3))


def newest(found: list[StoredResult], period: str) -> list[StoredResult]:
    """The last result of each control in a period; `found` is the newest first."""
    last: dict[str, StoredResult] = {}
    for one in found:
        if one.period == period:
            last.setdefault(one.result.control, one)
    return list(last.values())


def _worst_first(one: StoredResult) -> tuple[int, int, str]:
    return ("found", "not_checked", "passed").index(one.result.status), -sum(map(abs, one.result.money.values())), one.result.control


def period_text(key: str) -> str:
    """A stored period as its days.

    >>> period_text("1790812800000..1793491200000")
    '2026-10-01 to 2026-10-31, UTC'
    """
    first, _, last = key.partition("..")
    days = (datetime.fromtimestamp(int(ms) / 1000, UTC) for ms in (first, int(last) - 1))
    return " to ".join(f"{one:%Y-%m-%d}" for one in days) + ", UTC"


def summary(found: list[StoredResult]) -> None:
    """How many are green, and how many are not."""
    tiles = []
    below_of = {"found": "something was found", "not_checked": "could not be checked, or nothing to check", "passed": "nothing was found"}
    for status, below in below_of.items():
        number = sum(one.result.status == status for one in found)
        cls = "waits" if status == "found" and number else ""
        tiles.append(tile(STATES[status][0].capitalize(), f"{number}", f"of {len(found)}", below, cls=cls))
    st.html(tag("div", *tiles, cls="rf-tiles"))


def _row(visit: Visit, one: Result, at_ms: int) -> tuple[str | Safe, ...]:
    control = _control(one.control)
    text, cls = STATES[one.status]
    name = link(one.control.replace("_", " "), "controls", visit.tenant, control=one.control)
    asks = control.asks if control else "a control of another release"
    count = f"{one.count:,}" if one.status != "not_checked" else "–"
    return name, tag("span", text, cls=f"rf-badge {cls}"), asks, f"{one.checked:,}", count, by_currency(one.money), day(at_ms)


def _control(name: str) -> Control | None:
    return next((one for one in registered() if one.name == name), None)


def one_control(visit: Visit, name: str, found: list[StoredResult]) -> None:
    """What a control asks, what it found last, what a person does about it, and its earlier runs."""
    mine, control = [one for one in found if one.result.control == name], _control(name)
    if not mine:
        message(f"No run of a control {name[:60]!r} is in the books.")
        return
    last = mine[0].result
    heading(name.replace("_", " ").capitalize(), f"{period_text(mine[0].period)}: {STATES[last.status][0]}")
    if control is not None:
        st.html(
            facts(
                {
                    "checks that": control.asks, "how": control.formula, "tolerance": control.tolerance, "run it": control.schedule,
                    "money at stake": control.money, "what to do": control.remedy,
                }
            )
        )  # fmt: skip
    if last.why_not:
        message(f"It could not be checked: {last.why_not}.")
    if last.items:
        heading("Found", f"{len(last.items):,} of {last.count:,}, the most money first")
        rows: list[tuple[str | Safe, ...]] = [
            (visit.mask(one.what, ()), f"{one.count:,}", money_text(one.nanos, one.currency) if one.nanos else "–")
            for one in last.items
        ]
        st.html(table(("what", "how many", "money at stake"), rows))
    heading("Earlier", f"every run is kept; the last {min(len(mine), SHOWN_RUNS)}")
    runs: list[tuple[str | Safe, ...]] = [
        (day(one.at_ms), period_text(one.period), tag("span", STATES[one.result.status][0], cls=f"rf-badge {STATES[one.result.status][1]}"),
         f"{one.result.checked:,}", f"{one.result.count:,}", by_currency(one.result.money))
        for one in mine[:SHOWN_RUNS]
    ]  # fmt: skip
    st.html(table(("run at", "period", "state", "calls checked", "found", "money at stake"), runs, numbers_from=3))


def ask_again(visit: Visit) -> None:
    """Asks all controls about a period, and keeps the answers."""
    with st.popover("Run the controls"), st.form("rf_controls", border=False):
        text = st.text_input("Period", key="rf_controls_period", placeholder="2026-10, 2026-10-31, or 2026-10-01..2026-10-15; UTC", max_chars=24)
        if not st.form_submit_button("Run all", key="rf_controls_do", type="primary"):
            return
        try:
            period = periods.period_ms(text.strip(), "UTC")
            with st.spinner("Running the controls; a month of ten million calls takes some minutes."):
                controlling.run(visit.sources.installation, visit.tenant, period, visit.now_ms)
        except (ServiceError, BooksError, WarehouseError) as wrong:
            message(f"Not run: {wrong}")
            return
        visit.sources.forget("controls")
        message("All controls were run.", done=True)
