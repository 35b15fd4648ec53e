"""What alerted calls cost: lost per minute now, saved so far, and where the money goes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from books import Connection
from core.money import to_decimal
from core.text import amount
from dashboards.tags import Safe, joined
from dashboards.tiles import tile
from dashboards.world import BLOCKED, LET_PASS, PASSES, STATES, AtRisk
from services import alert_desk
from services.alert_desk import Catches, Queued
from services.subjects import DAY_MS, Ask

MOST = 300
"""Of the newest alerts are added up."""


class Risk(NamedTuple):
    """`lost`: currency -> money per minute of alerted calls that still pass; `at_risk`: by country, the most first."""

    lost: Mapping[str, Decimal]
    catches: Catches
    at_risk: list[AtRisk]


def read(ask: Ask, conn: Connection, tenant: str, now_ms: int) -> Risk:
    """Of the last 24 hours."""
    queue = [one for one in alert_desk.queue(conn, tenant, now_ms, MOST) if one.finding.last_ms > now_ms - DAY_MS]
    narrow = narrowest(queue)
    lost = alert_desk.lost_per_minute([(one.finding, one.status) for one in narrow], now_ms)
    return Risk(lost, alert_desk.catches(ask, conn, tenant, now_ms - DAY_MS), by_country(narrow))


def narrowest(queue: list[Queued]) -> list[Queued]:
    """Without alerts whose money is that of narrower ones: an account's calls are its callers' calls to ranges. So nothing counts twice.

    An account's alert counts where it has none of a range; the sums over carriers, trunks and all accounts never do.
    """
    ranges = {(one.finding.tenant, one.finding.facts.account) for one in queue if one.finding.facts and one.finding.subject_kind == "b_range"}
    callers = {(one.finding.tenant, one.finding.facts.account) for one in queue if one.finding.facts and one.finding.subject_kind == "a_number"}
    found = []
    for one in queue:
        facts = one.finding.facts
        if facts is None or not facts.account:
            continue
        whose, kind = (one.finding.tenant, facts.account), one.finding.subject_kind
        if kind in ("b_range", "unpriced") or (kind == "a_number" and whose not in ranges) or (
            kind in ("account", "destination") and whose not in ranges and whose not in callers
        ):  # fmt: skip
            found.append(one)
    return found


def by_country(queue: list[Queued]) -> list[AtRisk]:
    """Money by country and currency."""
    sums: dict[tuple[str, str], AtRisk] = {}
    for one in queue:
        facts = one.finding.facts
        if facts is None or not one.finding.exposure_nanos:
            continue
        name = facts.country_name or facts.country or "no country"
        before = sums.get((name, one.finding.currency), AtRisk(facts.country, name, one.finding.currency, Decimal(0), 0, LET_PASS))
        money = before.money + to_decimal(one.finding.exposure_nanos)
        state = max(before.state, state_of(one), key=STATES.index)
        sums[name, one.finding.currency] = before._replace(money=money, alerts=before.alerts + 1, state=state)
    return sorted(sums.values(), key=lambda one: (-one.money, one.name))


def state_of(one: Queued) -> str:
    """What becomes of an alert's calls."""
    return PASSES if one.passes else BLOCKED if one.status == "standing" else LET_PASS


def risk_tiles(risk: Risk | None) -> Safe:
    """Two tiles beside those of the traffic."""
    if risk is None:
        return joined(tile("Lost now", "–"), tile("Saved so far", "–"))
    unit, cls = ("per minute", "waits") if risk.lost else ("", "")
    lost = tile("Lost now", _money(risk.lost), unit, "alerted calls that nothing refuses", cls=cls)
    below = f"about: {risk.catches.refused:,} calls refused in 24 h, each at the mean of its alert"
    return joined(lost, tile("Saved so far", _money(risk.catches.saved), "", below))


def _money(sums: Mapping[str, Any]) -> str:
    return ", ".join(f"{amount(value)} {currency}" for currency, value in sorted(sums.items())) or "0"
