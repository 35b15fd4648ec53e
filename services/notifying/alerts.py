"""The alerts of the books as events: how urgent each is, and what it says."""

from __future__ import annotations

from collections.abc import Sequence

from books import Connection, alerts, orders, verdicts
from books.orders import StoredOrder
from core.alert_text import NO_BLOCK
from core.notify import LATE_MS, SEVERITIES, Event
from core.orders import Finding
from services import alert_desk
from services.attacks import account_of, together

ONLY_WARN = frozenset({"destination", "first call", "warns", "regular", "disputed", "uncertain", "score"})
"""Reasons for which nothing is refused and nothing needs to be decided at once: codes of `core.alert_text.NO_BLOCK`."""
assert NO_BLOCK.keys() >= ONLY_WARN


def events(conn: Connection, now_ms: int, link: str = "") -> list[Event]:
    """The alerts that came into the books within the last day, those of one attack as one event. `link`: where the pages are."""
    quiet = verdicts.quiet(conn, now_ms)
    found = [
        (finding, opened_ms)
        for finding, opened_ms in alerts.opened_since(conn, now_ms - LATE_MS)
        if (silent := quiet.get(verdicts.subject_of(finding))) is None or silent.finding_id == finding.finding_id
    ]
    ids = [finding.finding_id for finding, _ in found]
    ordered, taken, judged = orders.of_findings(conn, ids), alert_desk.taken(conn, ids), verdicts.of(conn, ids)
    result = []
    for finding, opened_ms in sorted(found, key=lambda one: (one[1], one[0].finding_id)):
        order = ordered.get(finding.finding_id) or (orders.newest(conn, finding.key) if finding.key else None)
        handled = finding.finding_id in taken or finding.finding_id in judged or (order is not None and bool(order.decided_by))
        severity = severity_of(finding, order)
        event = Event(finding.finding_id, finding.tenant, severity, opened_ms, title_of(finding), text_of(finding, order, link), handled)
        result.append((account_of(finding), event))
    return attacks(result)


def attacks(of_accounts: Sequence[tuple[str, Event]]) -> list[Event]:
    """One event per attack (`services.attacks`): its first alert stands for those that follow and are not more urgent, and names them. Who works on
    one of them works on all. `of_accounts`: account ("" = an alert is about none, and stands for itself) and event.

    >>> def event(name, at_ms, severity="normal", handled=False): return "acme", Event(name, "t1", severity, at_ms, name, "It.", handled)
    >>> [one.about for one in attacks([event("a", 0), event("b", 60_000), event("c", 90_000, "urgent"), event("d", 9_000_000)])]
    ['a', 'c', 'd']
    >>> [(one.handled, one.text) for one in attacks([event("a", 0), event("b", 60_000, handled=True)])]
    [(True, 'It.\\nAlso: b.')]
    """
    groups = together(of_accounts, lambda one: (one[1].tenant, one[0]), lambda one: (one[1].at_ms, one[1].at_ms))
    found: list[Event] = []
    for group in groups:
        led: list[Event] = []
        for _, event in group:
            if led and SEVERITIES.index(event.severity) <= SEVERITIES.index(led[-1].severity):
                led[-1] = led[-1]._replace(handled=led[-1].handled or event.handled, text=f"{led[-1].text}\nAlso: {event.title}.")
            else:
                led.append(event)
        found += led
    return sorted(found, key=lambda one: (one.at_ms, one.about))


def severity_of(finding: Finding, order: StoredOrder | None) -> str:
    """low: it only warns; normal: a block refuses its calls; urgent: they pass, and a person must decide."""
    status = order.status if order else ""
    if status in ("standing", "lifted", "suppressed"):
        return "normal"
    if not status and finding.facts is not None and finding.facts.no_block in ONLY_WARN:
        return "low"
    return "urgent"


def title_of(finding: Finding) -> str:
    """The first sentence of the reason, without what follows the colon."""
    return finding.reason.partition(". ")[0].partition(": ")[0][:120] or f"{finding.detector}: {finding.subject}"


def text_of(finding: Finding, order: StoredOrder | None, link: str) -> str:
    """What happened, what was done about it, and what to do now."""
    status = order.status if order else ""
    done = {
        "standing": "Its calls are refused. If that is wrong, lift the block.",
        "shadow": "Nothing is refused: the switch is in shadow, and only marks the calls.",
        "waiting": "The calls pass: a block waits for a person. Approve it or deny it.",
        "lifted": "A person has let these calls pass.",
        "suppressed": "A person has let these calls pass.",
    }.get(status, "The calls pass, and no block was ordered.")
    where = f" {link.rstrip('/')}/alerts?alert={finding.finding_id}" if link else f" Alert {finding.finding_id} of tenant {finding.tenant}."
    return f"{finding.reason} {done}{where}"
