"""What people said of alerts, and of which subjects they want to hear nothing for a while.

An alert has one verdict, the latest; the audit log has every change. Of a quiet subject, alerts of the same detector are stored and not shown, and
their orders do not take effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from books import alerts, audit, tables
from books.upsert import put
from core.detector_names import detector_text
from core.facts import Facts
from core.ids import derived_id
from core.orders import BlockOrder, Finding
from core.policy import Policy

Word = Literal["fraud", "not fraud", "unsure"]
WORDS: tuple[Word, ...] = ("fraud", "not fraud", "unsure")

_v = tables.verdicts.c
_q = tables.quiet_subjects.c
_SUBJECT = ("tenant", "detector", "subject_kind", "subject")


class Verdict(NamedTuple):
    """`alerted_ms`: when its alert came. `spread_from`: the alert whose verdict it follows, "" = a person looked at this one."""

    finding_id: str
    tenant: str
    detector: str
    subject_kind: str
    subject: str
    verdict: Word
    who: str
    why: str
    at_ms: int
    alerted_ms: int
    spread_from: str
    facts: Facts | None


class Quiet(NamedTuple):
    """A subject of which alerts of a detector are not shown until `until_ms`."""

    tenant: str
    detector: str
    subject_kind: str
    subject: str
    finding_id: str
    until_ms: int
    who: str
    why: str
    at_ms: int


def put_verdict(conn: sa.Connection, finding: Finding, verdict: Word, who: str, why: str, now_ms: int, spread_from: str = "") -> None:
    """Stores the verdict on an alert; an earlier one is replaced."""
    row = {name: getattr(finding, name) for name in _SUBJECT}
    facts = msgspec.json.encode(finding.facts).decode() if finding.facts else ""
    row |= {"finding_id": finding.finding_id, "verdict": verdict, "who": who, "why": audit.clean(why), "at_ms": now_ms}
    put(conn, tables.verdicts, {**row, "alerted_ms": finding.detected_at_ms, "spread_from": spread_from, "facts": facts})
    follows = f"as of {spread_from}: " if spread_from else ""
    audit.note(conn, who, f"verdict: {verdict}", f"{finding.finding_id} {finding.detector} {finding.subject}", follows + why, now_ms)


def of(conn: sa.Connection, finding_ids: Sequence[str]) -> dict[str, Verdict]:
    """Alert -> its verdict."""
    query = sa.select(tables.verdicts).where(_v.finding_id.in_(finding_ids))
    return {one.finding_id: one for one in map(_verdict, conn.execute(query) if finding_ids else ())}


def every(conn: sa.Connection, tenant: str = "", since_ms: int = 0) -> list[Verdict]:
    """Verdicts in the order in which they were given, none from before `since_ms`."""
    query = sa.select(tables.verdicts).where(_v.at_ms >= since_ms).order_by(_v.at_ms, _v.finding_id)
    return [_verdict(row) for row in conn.execute(query.where(_v.tenant == tenant) if tenant else query)]


def open_alerts(conn: sa.Connection, finding: Finding, since_ms: int) -> list[Finding]:
    """Other alerts about the same subject that no person has judged, and whose last record is not older."""
    a = tables.alerts.c
    judged = sa.select(_v.finding_id).where(_v.spread_from == "")
    query = sa.select(a.finding_id).where(
        a.tenant == finding.tenant, a.subject_kind == finding.subject_kind, a.subject == finding.subject,
        a.finding_id != finding.finding_id, a.last_ms >= since_ms, a.finding_id.not_in(judged),
    )  # fmt: skip
    found = [alerts.find(conn, one) for one in conn.execute(query.order_by(a.finding_id)).scalars()]
    return [one for one in found if one is not None]


def quieten(conn: sa.Connection, finding: Finding, until_ms: int, who: str, why: str, now_ms: int) -> None:
    """From now on, until `until_ms`, alerts of the finding's detector about its subject are not shown, and refuse nothing."""
    row = {name: getattr(finding, name) for name in _SUBJECT}
    row |= {"finding_id": finding.finding_id, "until_ms": until_ms, "who": who, "why": audit.clean(why), "at_ms": now_ms}
    put(conn, tables.quiet_subjects, row)
    audit.note(conn, who, "quietened", f"{finding.detector} {finding.tenant} {finding.subject}", f"until {until_ms}: {why}", now_ms)


def end_quiet(conn: sa.Connection, finding: Finding, who: str, why: str, now_ms: int) -> bool:
    """Lets the finding's detector speak about its subject again. False = it could."""
    mine = [column == getattr(finding, column.name) for column in (_q.tenant, _q.detector, _q.subject_kind, _q.subject)]
    ended = bool(conn.execute(sa.update(tables.quiet_subjects).where(*mine, _q.until_ms > now_ms).values(until_ms=now_ms)).rowcount)
    if ended:
        audit.note(conn, who, "quiet ended", f"{finding.detector} {finding.tenant} {finding.subject}", why, now_ms)
    return ended


def quiet(conn: sa.Connection, now_ms: int, tenant: str = "") -> dict[tuple[str, str, str, str], Quiet]:
    """The quiet subjects: (tenant, detector, subject kind, subject) -> until when, by whom and why."""
    query = sa.select(tables.quiet_subjects).where(_q.until_ms > now_ms).order_by(_q.until_ms)
    found = [Quiet(**row._asdict()) for row in conn.execute(query.where(_q.tenant == tenant) if tenant else query)]
    return {one[:4]: one for one in found}


def subject_of(finding: Finding) -> tuple[str, str, str, str]:
    """The key of `quiet` that applies to a finding."""
    return finding.tenant, finding.detector, finding.subject_kind, finding.subject


def quiet_findings(conn: sa.Connection, orders: Sequence[BlockOrder], now_ms: int) -> dict[str, str]:
    """Of orders, the findings about quiet subjects, each with the reason. An order may come before its finding: so the ids that findings of such
    subjects have in a running episode are derived as well (by the default length of an episode)."""
    live = quiet(conn, now_ms)
    if not live:
        return {}
    found = {}
    for order in orders:
        finding = alerts.find(conn, order.finding_id)
        one = live.get(subject_of(finding)) if finding else None
        if finding is None:
            bucket = order.created_at_ms // Policy().episode_ms
            one = next((quiet for key, quiet in live.items() if order.finding_id == derived_id("finding", *key, bucket)), None)
        if one:
            found[order.finding_id] = f"{one.who} said that {one.subject} is not fraud ({detector_text(one.detector)}): {one.why}"
    return found


def _verdict(row: sa.Row[tuple[object, ...]]) -> Verdict:
    values = row._asdict()
    values["facts"] = msgspec.json.decode(values["facts"], type=Facts) if values["facts"] else None
    return Verdict(**values)
