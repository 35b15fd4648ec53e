"""Cases: open one of alerts that belong together, add what is found, see what it cost and what blocks saved, and give the evidence away.

Every change is one transaction: the case, its line of the timeline, and the audit log. A crash leaves all or nothing; a repeat changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import polars as pl

from assurance.disputes.evidence import mask, packed
from books import Connection, alerts, cases, orders
from books.cases import Case
from core.alert_text import caller_text
from core.ids import derived_id
from core.money import to_decimal, to_text
from core.orders import EVERYONE, Finding, Key
from core.spreadsheet import csv_of
from core.text import masked
from services import alert_desk, call_desk
from services.alert_desk import key_to_block, subject_of
from services.errors import BadArgument, ServiceError, UnknownName
from services.subjects import Ask

NEWEST = 300
"""Alerts that are looked through for those of the same account."""
MOST_CALLS = 5_000
"""Of each alert, in the evidence: the newest of those that were received from an hour before its first call to an hour after its last."""
HOUR_MS = 3_600_000


class Moment(NamedTuple):
    """A line of a timeline. `text` may have telephone numbers."""

    at_ms: int
    what: str
    text: str
    who: str = ""


class CaseFile(NamedTuple):
    """A case with its alerts (those that are still in the books), its timeline, and others of the same accounts that are in no case."""

    case: Case
    findings: tuple[Finding, ...]
    timeline: tuple[Moment, ...]
    related: tuple[Finding, ...]

    @property
    def lost(self) -> dict[str, Decimal]:
        """Currency -> money of its alerts."""
        return money_of(self.findings)


def money_of(findings: Sequence[Finding]) -> dict[str, Decimal]:
    """Currency -> money of alerts; of an account, its callers and their ranges only the largest counts, so that no call is counted twice.

    >>> from core.facts import Facts
    >>> def alert(kind, nanos): return Finding(finding_id=kind, tenant="t1", detector="burst", subject_kind=kind, subject="acme",
    ...     detected_at_ms=0, first_ms=0, last_ms=0, calls=1, exposure_nanos=nanos, currency="EUR", score=1.0, reason="", example_call_ids=[],
    ...     facts=Facts(subject_kind=kind, account="acme"))
    >>> money_of([alert("account", 5_000_000_000), alert("a_number", 3_000_000_000)])
    {'EUR': Decimal('5.000000000')}
    """
    kinds: dict[tuple[str, str], dict[str, int]] = {}
    for one in findings:
        of = kinds.setdefault((account_of(one) or one.finding_id, one.currency), {})
        of[one.subject_kind] = of.get(one.subject_kind, 0) + one.exposure_nanos
    found: dict[str, Decimal] = {}
    for (_, currency), sums in kinds.items():
        if most := max(sums.values()):
            found[currency] = found.get(currency, Decimal(0)) + to_decimal(most)
    return found


def open_case(conn: Connection, tenant: str, title: str, finding_ids: Sequence[str], who: str, now_ms: int) -> Case:
    """A case of at least one alert; the same alerts again are the same case. Raises `ServiceError`; then nothing was changed."""
    if not title.strip():
        raise BadArgument("Enter a title: what is it about?")
    if not finding_ids:
        raise BadArgument("A case has at least one alert.")
    one = Case(derived_id("case", tenant, *sorted(finding_ids)), tenant, title.strip(), "open", who, now_ms)
    cases.add(conn, one)
    add(conn, one, finding_ids, who, now_ms)
    return of(conn, tenant, one.id)


def add(conn: Connection, one: Case, finding_ids: Sequence[str], who: str, now_ms: int) -> None:
    """Puts alerts into a case. Raises `ServiceError` where one is gone, or in another case."""
    for finding_id in finding_ids:
        finding = alerts.find(conn, finding_id)
        if finding is None or finding.tenant != one.tenant:
            raise UnknownName("This alert is not in the books any more.")
        has = cases.put(conn, one, finding_id, who, now_ms)
        if has != one.id:
            other = cases.find(conn, one.tenant, has)
            raise ServiceError(f"This alert is in the case “{other.title if other else has}” already.")


def of(conn: Connection, tenant: str, name: str) -> Case:
    """A case by its id. Raises `UnknownName`."""
    found = cases.find(conn, tenant, name)
    if found is None:
        raise UnknownName(f"There is no case {name[:60]!r} here.")
    return found


def case_file(conn: Connection, tenant: str, name: str) -> CaseFile:
    """A case with all that is known of it. Raises `UnknownName`."""
    one = of(conn, tenant, name)
    ids = cases.alerts_of(conn, [one.id]).get(one.id, [])
    findings = tuple(sorted((found for each in ids if (found := alerts.find(conn, each))), key=lambda each: each.first_ms))
    newest = alerts.last(conn, NEWEST, one.tenant)
    taken = cases.of_alerts(conn, [each.finding_id for each in newest])
    accounts = {account for each in findings if (account := account_of(each))}
    related = tuple(each for each in newest if each.finding_id not in taken and account_of(each) in accounts)
    return CaseFile(one, findings, timeline(conn, one, findings), related)


def account_of(finding: Finding) -> str:
    """The account that an alert is about, "" = none alone."""
    key = key_to_block(finding)
    account = (finding.facts.account if finding.facts else "") or (key.account if key else "")
    return "" if account == EVERYONE else account


def timeline(conn: Connection, one: Case, findings: Sequence[Finding]) -> tuple[Moment, ...]:
    """First calls, alerts, orders and what people did, in order."""
    found = []
    for each in findings:
        found += [Moment(each.first_ms, "first call", who_text(each)), Moment(each.detected_at_ms, "alert", each.reason)]
    ordered = orders.of_findings(conn, [each.finding_id for each in findings])
    for order in ordered.values():
        made = order.order
        found.append(Moment(made.created_at_ms, "block order", made.key.text(), made.by))
        if order.decided_by or order.status in ("lifted", "expired"):
            found.append(Moment(order.status_at_ms, order.status, order.status_why, order.decided_by))
    names = {each.finding_id: each.subject for each in findings}
    found += [Moment(event.at_ms, event.event, names.get(event.text, event.text), event.who) for event in cases.history(conn, one.id)]
    return tuple(sorted(found, key=lambda each: (each.at_ms, each.what)))


def who_text(finding: Finding) -> str:
    """Who called whom, of an alert."""
    facts = finding.facts
    if facts is None or facts.name or not (facts.account or facts.trunk):
        return finding.subject
    return caller_text(facts) + (f", to {facts.country_name}" if facts.country_name else "")


def saved(ask: Ask, conn: Connection, whole: CaseFile) -> tuple[dict[str, Decimal], int]:
    """Currency -> what refused calls of its alerts would have cost, an estimate as that of the wall; and how many were refused."""
    if not whole.findings:
        return {}, 0
    since_ms = min(one.first_ms for one in whole.findings)
    keys = {key for one in whole.findings if (key := key_to_block(one))}
    caught = alert_desk.catches(ask, conn, whole.case.tenant, since_ms)
    found: dict[str, Decimal] = {}
    refused = {key: caught.by_key[key].refused for key in keys if key in caught.by_key}
    for one in _one_per_key(whole.findings, refused):
        if one.calls:
            each = to_decimal(one.exposure_nanos) / one.calls
            key = key_to_block(one)
            found[one.currency] = found.get(one.currency, Decimal(0)) + each * (refused.get(key, 0) if key else 0)
    return {currency: value for currency, value in found.items() if value}, sum(refused.values())


def _one_per_key(findings: Sequence[Finding], refused: dict[Key, int]) -> list[Finding]:
    first: dict[Key, Finding] = {}
    for one in findings:
        key = key_to_block(one)
        if key in refused:
            first.setdefault(key, one)
    return list(first.values())


def pack(ask: Ask, found: CaseFile, masked_digits: int = 3) -> bytes:
    """The evidence as an archive: the calls (CSV), the timeline and the alerts (CSV), the facts (JSON), and the hashes of all. `masked_digits`: at
    the end of each number, also of those in texts; 0 = none."""

    def text(words: str) -> str:
        return masked(words, ()) if masked_digits else words

    calls: list[list[object]] = []
    cut = False
    for one in found.findings:
        subject = subject_of(one)
        rows = call_desk.search(ask, subject, one.tenant, one.first_ms - HOUR_MS, MOST_CALLS, one.last_ms + HOUR_MS) if subject else []
        cut = cut or len(rows) == MOST_CALLS
        for row in rows:
            received_ms = round(row["learned_at"].replace(tzinfo=UTC).timestamp() * 1000)
            numbers = [mask(row[name] or "", masked_digits) for name in ("a_number", "b_number")]
            calls.append([f"{row['partition']}-{row['offset']}", time_text(received_ms), row["account"], *numbers, row["carrier"],
                (row["duration_ms"] or 0) / 1_000])  # fmt: skip
    calls = [list(one) for one in dict.fromkeys(tuple(row) for row in calls)]
    columns = ["call", "received", "account", "a_number", "b_number", "carrier", "talk_s"]
    subjects = [
        [one.finding_id, time_text(one.first_ms), time_text(one.last_ms), one.detector, text(one.subject), one.calls,
         to_text(one.exposure_nanos), one.currency, text(one.reason)]
        for one in found.findings
    ]  # fmt: skip
    alert_columns = ["alert", "first_call", "last_call", "detector", "subject", "calls", "money", "currency", "reason"]
    moments = [[time_text(one.at_ms), one.what, text(one.text), one.who] for one in found.timeline]
    facts = {
        "case": found.case.id, "title": text(found.case.title), "state": found.case.state, "alerts": len(found.findings), "calls": len(calls),
        "money": {currency: f"{value:f}" for currency, value in found.lost.items()},
        "newest_calls_only": cut, "masked_digits": masked_digits,
    }  # fmt: skip
    return packed(
        {
            "calls.csv": _csv(columns, calls), "alerts.csv": _csv(alert_columns, subjects),
            "timeline.csv": _csv(["at", "what", "text", "who"], moments),
            "facts.json": json.dumps(facts, indent=1, ensure_ascii=False).encode(),
        }
    )  # fmt: skip


def _csv(columns: list[str], rows: Sequence[Sequence[object]]) -> bytes:
    return csv_of(pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None))


def time_text(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
