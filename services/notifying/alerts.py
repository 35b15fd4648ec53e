"""The alerts of the books as events: how urgent each is, and what it says."""

from __future__ import annotations

from books import Connection, alerts, orders
from books.orders import StoredOrder
from core.alert_text import NO_BLOCK
from core.notify import LATE_MS, Event
from core.orders import Finding
from services import alert_desk

ONLY_WARN = frozenset({"destination", "first call", "warns", "regular", "disputed", "uncertain", "score"})
"""Reasons for which nothing is refused and nothing needs to be decided at once: codes of `core.alert_text.NO_BLOCK`."""
assert NO_BLOCK.keys() >= ONLY_WARN


def events(conn: Connection, now_ms: int, link: str = "") -> list[Event]:
    """The alerts that came into the books within the last day. `link`: where the pages are."""
    found = alerts.opened_since(conn, now_ms - LATE_MS)
    ids = [finding.finding_id for finding, _ in found]
    ordered, taken = orders.of_findings(conn, ids), alert_desk.taken(conn, ids)
    result = []
    for finding, opened_ms in found:
        order = ordered.get(finding.finding_id) or (orders.newest(conn, finding.key) if finding.key else None)
        handled = finding.finding_id in taken or (order is not None and bool(order.decided_by))
        severity = severity_of(finding, order)
        result.append(Event(finding.finding_id, finding.tenant, severity, opened_ms, title_of(finding), text_of(finding, order, link), handled))
    return result


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
