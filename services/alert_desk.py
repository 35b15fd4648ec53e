"""The work on alerts: who takes which, what the switches have refused since, and what that saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from books import Connection, alerts, orders, takes, verdicts
from books.orders import StoredOrder
from books.verdicts import Verdict
from core import explain
from core.money import to_decimal
from core.orders import Finding, Key
from services.errors import ServiceError, UnknownName
from services.subjects import Ask, fields_of
from warehouse import subjects

QUIET_MS = 3_600_000
"""An alert whose newest call is older is behind those that go on."""
ACTIVE_MS = 300_000
"""An alert whose newest call is older is not counted in "lost per minute now"."""


@dataclass(frozen=True)
class Caught:
    """What orders of one key did: calls that a switch refused, or (shadow) would have refused, and the newest of them."""

    refused: int = 0
    marked: int = 0
    last_ms: int = 0


@dataclass(frozen=True)
class Catches:
    """`by_key`: what each key has caught. `saved`: currency -> what the refused calls would have cost, an estimate."""

    by_key: Mapping[Key, Caught]
    saved: Mapping[str, Decimal]
    refused: int


class Take(NamedTuple):
    who: str
    at_ms: int


class Queued(NamedTuple):
    """An alert in the queue. `order` None = there is no order of its key; `take` None = nobody works on it; `verdict` None = it has none."""

    finding: Finding
    order: StoredOrder | None
    take: Take | None
    verdict: Verdict | None = None

    @property
    def status(self) -> str:
        return self.order.status if self.order else ""

    @property
    def passes(self) -> bool:
        """Whether nothing refuses its calls, and no person has decided that."""
        return self.status not in ("standing", "lifted", "suppressed") and self.verdict is None


def queue(conn: Connection, tenant: str, now_ms: int, most: int = 100) -> list[Queued]:
    """The newest alerts, those that a person must look at first: what still passes before what is refused, then by money. Alerts of a detector
    that is quiet about their subject are left out, but the one that was judged."""
    quiet = verdicts.quiet(conn, now_ms, tenant)
    findings = [
        one for one in alerts.last(conn, most, tenant)
        if (silent := quiet.get(verdicts.subject_of(one))) is None or silent.finding_id == one.finding_id
    ]  # fmt: skip
    ordered = orders.of_findings(conn, [one.finding_id for one in findings])
    ids = [one.finding_id for one in findings]
    has, said = taken(conn, ids), verdicts.of(conn, ids)
    found = [
        Queued(one, ordered.get(one.finding_id) or _before(conn, one), has.get(one.finding_id), said.get(one.finding_id)) for one in findings
    ]
    active = {one.finding.finding_id: now_ms - one.finding.last_ms <= QUIET_MS for one in found}
    # By whole money of the alert and not by its rate, which changes each second: cards must not move under the mouse.
    return sorted(found, key=lambda one: (not (one.passes and active[one.finding.finding_id]), -one.finding.exposure_nanos, one.finding.finding_id))


def queued(conn: Connection, finding: Finding) -> Queued:
    """One alert, as the queue has it."""
    one = finding.finding_id
    order = orders.of_findings(conn, [one]).get(one) or _before(conn, finding)
    return Queued(finding, order, taken(conn, [one]).get(one), verdicts.of(conn, [one]).get(one))


def _before(conn: Connection, finding: Finding) -> StoredOrder | None:
    return orders.newest(conn, finding.key) if finding.key else None


def key_to_block(finding: Finding) -> Key | None:
    """The calls that a block of an alert would refuse; None = they have no account that a block could name.

    >>> from core.facts import Facts
    >>> finding = Finding(finding_id="f", tenant="t1", detector="burst", subject_kind="b_range", subject="", detected_at_ms=0, first_ms=0,
    ...     last_ms=0, calls=4, exposure_nanos=0, currency="EUR", score=2.0, reason="", example_call_ids=[],
    ...     facts=Facts(subject_kind="b_range", account="acme", b_range="88213"))
    >>> key_to_block(finding).text()
    't1/account:acme/b:88213'
    """
    facts = finding.facts
    if finding.key is not None or facts is None or not facts.account or facts.subject_kind not in ("account", "a_number", "b_range", "unpriced"):
        return finding.key
    caller = facts.a_number if facts.subject_kind != "account" else ""
    return Key(tenant=finding.tenant, account=facts.account, a_number=caller, b_range=facts.b_range if facts.subject_kind == "b_range" else "")


def subject_of(finding: Finding) -> dict[str, str]:
    """The calls that an alert is about, as a subject of `services.subjects`; {} = they cannot be selected."""
    key, facts = key_to_block(finding), finding.facts
    if key is not None:
        return fields_of(key)
    if facts is None or not facts.name:
        return {}
    field = {"carrier": "carrier", "trunk": "trunk", "range": "b_range"}.get(facts.subject_kind)
    return {field: facts.name} if field else {}


def take(conn: Connection, finding_id: str, who: str, over: bool, now_ms: int) -> Take:
    """Takes an alert, so that nobody else works on it; returns who has it. `over`: also from somebody else. Raises `ServiceError`."""
    if alerts.find(conn, finding_id) is None:
        raise ServiceError("This alert is not in the books any more.")
    has, at_ms = takes.take(conn, finding_id, who, over, now_ms)
    return Take(has, at_ms)


def release(conn: Connection, finding_id: str, who: str, now_ms: int) -> bool:
    """Gives an alert back. False = somebody else has it, or nobody."""
    return takes.release(conn, finding_id, who, now_ms)


def taken(conn: Connection, finding_ids: Sequence[str]) -> dict[str, Take]:
    """Who works on which of these alerts."""
    return {one: Take(who, at_ms) for one, (who, at_ms) in takes.of(conn, finding_ids).items()}


def explanation(conn: Connection, finding_id: str) -> list[str]:
    """Why an alert came, in sentences. Raises `UnknownName`."""
    finding = alerts.find(conn, finding_id)
    if finding is None:
        raise UnknownName(f"There is no alert {finding_id}: `ringfence alerts list` names them.")
    return explain.of_finding(finding)


def catches(ask: Ask, conn: Connection, tenant: str, since_ms: int) -> Catches:
    """What the blocks of a tenant ("" = all) have caught since then.

    A refused call saves what a call of its alert cost on average: the callers may try again, so it is an estimate, and says how it was made.
    """
    rows = ask(subjects.refusals(tenant, since_ms))
    ids = {row["order_id"].removeprefix("shadow:") for row in rows}
    known = orders.keys_of(conn, sorted(ids))
    findings = {one: alerts.find(conn, one) for one in {finding_id for _, finding_id in known.values()}}
    by_key: dict[Key, Caught] = {}
    saved: dict[str, Decimal] = {}
    refused = 0
    for row in rows:
        order_id = row["order_id"].removeprefix("shadow:")
        if order_id not in known:
            continue
        key, finding_id = known[order_id]
        old, shadow = by_key.get(key, Caught()), row["order_id"] != order_id
        n, last_ms = row["calls"], max(old.last_ms, row["last_ms"])
        by_key[key] = Caught(old.refused + n * (not shadow), old.marked + n * shadow, last_ms)
        refused += n * (not shadow)
        finding = findings.get(finding_id)
        if finding is not None and not shadow and finding.calls:
            saved[finding.currency] = saved.get(finding.currency, Decimal(0)) + to_decimal(finding.exposure_nanos) * n / finding.calls
    return Catches(by_key, {name: value for name, value in saved.items() if value}, refused)


def lost_per_minute(findings: Sequence[tuple[Finding, str]], now_ms: int) -> dict[str, Decimal]:
    """Currency -> money per minute of alerts whose calls pass undecided: (finding, status of its order).

    An alert's rate is its money over its time; one that is blocked, that a person lets pass, or without a call for five minutes, has none.

    >>> from core.orders import Finding
    >>> one = Finding(finding_id="f", tenant="t1", detector="burst", subject_kind="account", subject="acme", detected_at_ms=0, first_ms=0,
    ...     last_ms=120_000, calls=4, exposure_nanos=6_000_000_000, currency="EUR", score=2.0, reason="", example_call_ids=[])
    >>> lost_per_minute([(one, "waiting")], 130_000), lost_per_minute([(one, "standing")], 130_000), lost_per_minute([(one, "")], 900_000)
    ({'EUR': Decimal('3.000000000')}, {}, {})
    """
    found: dict[str, Decimal] = {}
    for finding, status in findings:
        if status in ("standing", "lifted", "suppressed") or now_ms - finding.last_ms > ACTIVE_MS or not finding.exposure_nanos:
            continue
        minutes = Decimal(max(60_000, finding.last_ms - finding.first_ms)) / 60_000
        found[finding.currency] = found.get(finding.currency, Decimal(0)) + to_decimal(finding.exposure_nanos) / minutes
    return found
