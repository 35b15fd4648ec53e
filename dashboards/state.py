"""What is wrong: a part that is down, a warehouse or books that do not answer, and what still works."""

from __future__ import annotations

from typing import Any

from core.text import span
from dashboards.books_view import BooksView, Switch
from dashboards.lag import LATE_MS, LIVE_MS, Lag, lag_text
from dashboards.polled import Latest
from dashboards.tags import Safe, joined, tag
from services.part_health import Part

AMBER = "amber"
STALE_MS = 15_000
"""Older data is marked with its age."""

NO_WAREHOUSE = "The numbers and charts below are {age} old. Alerts and blocks come from the books: they are current, and unblocking works."
NO_BOOKS = (
    "The alerts and blocks below are {age} old, and nothing can be unblocked here. Switches keep their blocks and end them on time. "
    "If calls are wrongly refused: `touch RUN/hold` on the switch's machine turns all its blocks off."
)


STILL_WORKS = {
    "collector": "Switches keep their records in their spools, so none is lost. Blocks stay in force.",
    "judge": "Records are received and stored, but not priced; there are no new alerts and blocks. Blocks stay in force.",
    "watch": "Detection per account works. Fraud that only shows in the sum over accounts is not detected.",
    "store": "The numbers and charts below do not move. Detection and blocking work: the alerts and blocks below are current.",
    "dispatcher": "Switches keep their blocks and end them on time, but get no new block and no unblock. `ringfence unblock --all` and the "
    "hold file work without it.",
    "notify": "Detection and blocking work. No messages about alerts are sent; the alerts are here.",
    "router": "Calls go by the last routes. A new deck, or how a carrier does, changes none.",
    "poster": "Calls are priced and blocked. Balances, invoices and credit limits do not move.",
    "shipper": "The switch keeps its records in its spool, so none is lost. Blocks stay in force.",
    "kamailio": "No call passes this switch. Other switches are not affected.",
    "simulator": "There is no simulated traffic. Nothing else is affected.",
}
"""What still works while a part is down."""


def still_works(part: Part) -> str:
    """What still works without this part; for `judge-2` as for `judge`."""
    return STILL_WORKS.get(part.name.partition("-")[0], "")


def pill(lag: Latest[Lag], now_ms: int) -> Safe:
    """The lag behind live."""
    if lag.value is None:
        return tag(
            "span",
            f"lag unknown: {lag.error}" if lag.error else "…",
            cls="rf-pill " + ("red" if lag.error else ""),
        )
    behind_ms = lag.value.behind_ms + (now_ms - lag.at_ms if lag.error else 0)
    text = f"data {span(behind_ms)} old" if lag.error else lag_text(behind_ms, lag.value.records)
    cls = "green" if behind_ms <= LIVE_MS else "amber" if behind_ms <= LATE_MS else "red"
    return tag("span", text, cls=f"rf-pill {cls}")


def problems(traffic: Latest[Any], books: Latest[BooksView], parts: Latest[list[Part]], lag: Latest[Lag], now_ms: int) -> list[Safe]:
    """All problems, the most serious first; [] = none."""
    found = []
    if books.error:
        found.append(problem(f"The books do not answer (RINGFENCE_BOOKS): {books.error}.", aged(books, now_ms, NO_BOOKS)))
    if traffic.error:
        found.append(
            problem(f"The warehouse does not answer (RINGFENCE_WAREHOUSE): {traffic.error}.", aged(traffic, now_ms, NO_WAREHOUSE))
        )
    for part in parts.value or []:
        if not part.alive:
            found.append(problem(f"{part.name} is down: {part.why}.", still_works(part)))
        elif not part.ready:
            found.append(problem(f"{part.name} is not ready: {part.why}.", still_works(part), cls=AMBER))
    if parts.error:
        found.append(problem(f"The health of the parts is unknown: {parts.error}.", ""))
    if not traffic.error and lag.error:
        found.append(problem(f"The lag is unknown: the journal does not answer (RINGFENCE_JOURNAL): {lag.error}.", ""))
    elif lag.value is not None and lag.value.behind_ms > LATE_MS:
        behind = lag_text(lag.value.behind_ms, lag.value.records)
        found.append(problem(f"The numbers and charts below are {behind}.", "Alerts and blocks are not delayed by it.", cls=AMBER))
    for switch in books.value.switches if books.value else ():
        found += problems_of(switch)
    return sorted(found, key=lambda one: AMBER in one)


def problems_of(switch: Switch) -> list[Safe]:
    """The problems of a switch."""
    found = []
    if switch.held_by:
        what = f"Switch {switch.name} is held by {switch.held_by}. No block of ours acts there."
        found.append(problem(what, "`ringfence unblock --clear-hold` ends it.", cls=AMBER))
    if switch.error:
        what = f"Switch {switch.name} accepts no orders: {switch.error}."
        found.append(problem(what, "It keeps its blocks and ends them on time."))
    return found


def aged(latest: Latest[Any], now_ms: int, text: str) -> str:
    """What still works, with the age of the shown data."""
    return text.format(age=span(now_ms - latest.at_ms)) if latest.value is not None else "Nothing was read yet."


def problem(what: str, still: str, cls: str = "red") -> Safe:
    return tag("div", tag("b", what), *code(still), cls=f"rf-problem {cls}")


def code(text: str) -> list[Safe | str]:
    """A text with its `commands` as code.

    >>> print(joined(*code("run `x < y` now")).strip())
    run <code>x &lt; y</code> now
    """
    if not text:
        return []
    return [" ", *(tag("code", part) if at % 2 else part for at, part in enumerate(text.split("`")))]


def health(parts: Latest[list[Part]]) -> Safe:
    """One chip per part."""
    if not parts.value:
        text = parts.error or ("no addresses of parts are configured (RINGFENCE_PAGES_PARTS)" if parts.value is not None else "")
        return tag("div", tag("span", text, cls="rf-chip") if text else "", cls="rf-chips")
    chips = []
    for part in parts.value:
        cls, label = ("green", "ready") if part.ready else ("amber", "not ready") if part.alive else ("red", "down")
        shown = "" if part.ready else f" {label}"
        chips.append(tag("span", tag("b", part.name), shown, cls=f"rf-chip {cls}", title=part.why or label))
    return tag("div", *chips, cls="rf-chips")


def switch_table(switches: tuple[Switch, ...]) -> list[tuple[str | Safe, ...]]:
    """One row per switch: its mode per tenant, and its unconfirmed changes."""
    rows: list[tuple[str | Safe, ...]] = []
    for one in switches:
        on = [name for name, enforces in one.enforcing.items() if enforces]
        off = [name for name, enforces in one.enforcing.items() if not enforces]
        mode = "; ".join(filter(None, (f"refuses for {', '.join(on)}" * bool(on), f"shadow for {', '.join(off)}" * bool(off))))
        held = tag("span", "on hold", cls="rf-badge waits") if one.held_by else joined("")
        rows.append((joined(one.name, " ", held), mode or "serves no tenant", f"{one.due:,}"))
    return rows
