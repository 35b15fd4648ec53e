"""What is wrong, in words and in red: a part that is down, a warehouse or books that do not answer, and what still works all the same."""

from __future__ import annotations

from typing import Any

from core.text import span
from dashboards.books_view import BooksView, Switch
from dashboards.lag import LATE_MS, LIVE_MS, Lag, behind_words
from dashboards.polled import Latest
from dashboards.tags import Safe, tag, together
from services.part_health import Part

AMBER = "amber"
STALE_MS = 15_000
"""Figures that are older are marked as old."""

NO_WAREHOUSE = "Figures and charts are the last good ones, {age} old. Alerts and blocks come from the books: they are of now, and unblock works."
NO_BOOKS = (
    "Alerts and blocks are the last good ones, {age} old, and nothing can be lifted here. Switches hold the blocks that they have and end them by "
    "themselves. If calls are refused that should not be: `touch RUN/hold` beside the switch turns every block off."
)


STILL_WORKS = {
    "collector": "Switches keep their records in their spools and nothing is lost; blocks stand.",
    "judge": "Records are taken and kept. Nothing new is priced, and no new alert or block comes; blocks that stand go on standing.",
    "watch": "Each account is watched as before. What only shows in the sum of all of them is not detected.",
    "store": "Figures stand still. Calls are judged and blocked all the same: alerts and blocks below are of now.",
    "dispatcher": "Switches hold the blocks that they have, and end them by themselves. No new one reaches them, and neither does an unblock: "
    "`ringfence unblock --all` and the hold file act without it.",
    "shipper": "The switch keeps its records in its spool and nothing is lost; blocks stand.",
    "kamailio": "No call passes this switch. What other switches carry is not touched.",
    "simulator": "No simulated traffic comes. Nothing else is touched.",
}
"""What a person may rely on while a part is down."""


def still_works(part: Part) -> str:
    """What works while this part does not; of `judge-2` as of `judge`."""
    return STILL_WORKS.get(part.name.partition("-")[0], "")


def pill(lag: Latest[Lag], now_ms: int) -> Safe:
    """How far behind live it is."""
    if lag.value is None:
        return tag(
            "span",
            f"how far behind is not known: {lag.error}" if lag.error else "…",
            cls="rf-pill " + ("red" if lag.error else ""),
        )
    behind_ms = lag.value.behind_ms + (now_ms - lag.at_ms if lag.error else 0)
    words = f"figures {span(behind_ms)} old" if lag.error else behind_words(behind_ms, lag.value.records)
    cls = "green" if behind_ms <= LIVE_MS else "amber" if behind_ms <= LATE_MS else "red"
    return tag("span", words, cls=f"rf-pill {cls}")


def troubles(figures: Latest[Any], promises: Latest[BooksView], parts: Latest[list[Part]], lag: Latest[Lag], now_ms: int) -> list[Safe]:
    """Each thing that is wrong, the gravest first; [] = nothing is."""
    found = []
    if promises.error:
        found.append(trouble(f"The books do not answer (RINGFENCE_BOOKS): {promises.error}.", aged(promises, now_ms, NO_BOOKS)))
    if figures.error:
        found.append(
            trouble(f"The warehouse does not answer (RINGFENCE_WAREHOUSE): {figures.error}.", aged(figures, now_ms, NO_WAREHOUSE))
        )
    for part in parts.value or []:
        if not part.alive:
            found.append(trouble(f"{part.name} is down: {part.why}.", still_works(part)))
        elif not part.ready:
            found.append(trouble(f"{part.name} is not ready: {part.why}.", still_works(part), cls=AMBER))
    if parts.error:
        found.append(trouble(f"The health of the parts is not known: {parts.error}.", ""))
    if not figures.error and lag.error:
        found.append(
            trouble(
                f"How far behind live this is, is not known: the journal does not answer (RINGFENCE_JOURNAL): {lag.error}.", ""
            )
        )
    elif lag.value is not None and lag.value.behind_ms > LATE_MS:
        behind = behind_words(lag.value.behind_ms, lag.value.records)
        found.append(trouble(f"The figures are {behind}.", "Alerts and blocks do not wait for the figures.", cls=AMBER))
    for switch in promises.value.switches if promises.value else ():
        found += troubles_of(switch)
    return sorted(found, key=lambda one: AMBER in one)


def troubles_of(switch: Switch) -> list[Safe]:
    """What is wrong at a switch."""
    found = []
    if switch.held_by:
        what = f"Switch {switch.name} is held by {switch.held_by}. No block of ours acts there."
        found.append(trouble(what, "`ringfence unblock --clear-hold` ends it.", cls=AMBER))
    if switch.error:
        what = f"Switch {switch.name} does not take orders: {switch.error}."
        found.append(trouble(what, "It holds the blocks that it has, and ends them by itself."))
    return found


def aged(seen: Latest[Any], now_ms: int, words: str) -> str:
    """What still works, with the age of what is shown."""
    return words.format(age=span(now_ms - seen.at_ms)) if seen.value is not None else "Nothing was read yet."


def trouble(what: str, still: str, cls: str = "red") -> Safe:
    return tag("div", tag("b", what), *code(still), cls=f"rf-trouble {cls}")


def code(text: str) -> list[Safe | str]:
    """A text with its `commands` as commands.

    >>> print(together(*code("say `x < y` now")).strip())
    say <code>x &lt; y</code> now
    """
    if not text:
        return []
    return [" ", *(tag("code", part) if at % 2 else part for at, part in enumerate(text.split("`")))]


def health(parts: Latest[list[Part]]) -> Safe:
    """A chip a part."""
    if not parts.value:
        words = parts.error or ("no addresses of parts are configured (RINGFENCE_PAGES_PARTS)" if parts.value is not None else "")
        return tag("div", tag("span", words, cls="rf-chip") if words else "", cls="rf-chips")
    chips = []
    for part in parts.value:
        cls, words = ("green", "ready") if part.ready else ("amber", "not ready") if part.alive else ("red", "down")
        said = "" if part.ready else f" {words}"
        chips.append(tag("span", tag("b", part.name), said, cls=f"rf-chip {cls}", title=part.why or words))
    return tag("div", *chips, cls="rf-chips")


def switch_table(switches: tuple[Switch, ...]) -> list[tuple[str | Safe, ...]]:
    """A row a switch: what it does for whom, and what it has not acknowledged."""
    rows: list[tuple[str | Safe, ...]] = []
    for one in switches:
        on = [name for name, enforces in one.enforcing.items() if enforces]
        off = [name for name, enforces in one.enforcing.items() if not enforces]
        does = "; ".join(
            words for words in (f"refuses for {', '.join(on)}" * bool(on), f"shadow for {', '.join(off)}" * bool(off)) if words
        )
        held = tag("span", "held", cls="rf-badge waits") if one.held_by else together("")
        rows.append((together(one.name, " ", held), does or "serves no tenant", f"{one.due:,}"))
    return rows
