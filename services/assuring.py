"""The assurance report of a period, from what controls found and what carriers were asked for."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from assurance.disputes.thresholds import NEVER
from assurance.report import Claim, ComparedBill, Report, is_sure, report, trend_of
from books import control_results, disputes, reading, reconciliations
from books.reconciliations import Reconciliation
from core.money import to_nanos
from services import controlling, periods
from services.installation import Installation, opened_books, tenant_of

MOST_PERIODS = 12
ZONE_MS = 14 * 3_600_000
"""Bills are of days in the zone of their agreement, the report of UTC."""


def assure(installation: Installation, tenant: str, period: str, now_ms: int, ask: bool = True) -> Report:
    """The report of a period. `ask`: run the controls first; else what they last said."""
    from_ms, to_ms = periods.period_ms(period, "UTC")
    if ask:
        controlling.run(installation, tenant, (from_ms, to_ms), now_ms)
    with opened_books(installation) as engine, reading(engine) as conn:
        name = tenant_of(conn, tenant)
        latest = control_results.latest(conn, name, from_ms, to_ms)
        history = control_results.history(conn, name, limit=100_000)
        key = control_results.period_key(from_ms, to_ms)
        everything = reconciliations.every(conn, name)
        of_period = {one.id for one in everything if one.from_ms < to_ms and from_ms < one.to_ms}
        compared = [one for one in everything if one.role == "buy"]
        found = [one for one in compared if one.id in of_period]
        claimed = [one for one in disputes.every(conn, name) if one.reconciliation in of_period]
    bills = [_bill(one) for one in found]
    claims = [
        Claim(one.party, one.cause, one.state, one.currency, one.nanos, to_nanos(one.agreed) if one.agreed else None, one.role == "buy")
        for one in claimed
    ]
    earlier = [one.result for one in history if one.period == key]
    length = to_ms - from_ms
    same = [(one.period, one.result) for one in history if abs(_length(one.period) - length) <= 4 * 86_400_000]
    trend = [(_words(text), _with_bills(text, sums, compared)) for text, sums in trend_of(same)][-MOST_PERIODS:]
    return report(name, period, [one.result for one in latest], earlier, bills, claims, trend)


def _bill(one: Reconciliation) -> ComparedBill:
    # Of each cause what they charge too much: what they charge too little by the same cause is nobody's recovery.
    sums = {cause.cause: to_nanos(cause.amount) for cause in one.summary.causes if not NEVER.issuperset(cause.cause.split("|"))}
    too_much = {cause: nanos for cause, nanos in sums.items() if nanos > 0}
    return ComparedBill(one.party, one.invoice_no, one.currency, to_nanos(one.theirs), to_nanos(one.ours), sum(too_much.values()), too_much)


def _with_bills(key: str, sums: dict[str, int], compared: list[Reconciliation]) -> dict[str, int]:
    """What controls found in a period, and what the bills that begin in it have too much for sure."""
    first, _, last = key.partition("..")
    found = dict(sums)
    for one in compared:
        if int(first) - ZONE_MS <= one.from_ms < int(last) - ZONE_MS:
            bill = _bill(one)
            found[bill.currency] = found.get(bill.currency, 0) + sum(nanos for cause, nanos in bill.by_cause.items() if is_sure(cause))
    return found


def _length(key: str) -> int:
    first, _, last = key.partition("..")
    return int(last) - int(first)


def _words(key: str) -> str:
    first, _, last = key.partition("..")
    begin, end = (datetime.fromtimestamp(int(ms) / 1000, UTC) for ms in (first, last))
    return f"{begin:%Y-%m}" if begin.day == end.day == 1 else f"{begin:%Y-%m-%d}"


def as_facts(made: Report) -> dict[str, Any]:
    """The report for programs: nanos as they are."""
    return {
        "tenant": made.tenant, "period": made.period, "lines": [asdict(one) for one in made.lines], "controls": list(made.results),
        "bills": list(made.bills), "disputes": list(made.claims), "trend": [{"period": period, "found": sums} for period, sums in made.trend],
    }  # fmt: skip
