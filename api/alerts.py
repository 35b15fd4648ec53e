"""Alerts and verdicts for programs, such as a case system: the queue, one alert, and what it was."""

from __future__ import annotations

from typing import Literal

import msgspec

from books import Connection, Engine, alerts, reading, writing
from core import durations
from core.clock import wall_clock_ms
from core.money import to_text
from services import alert_desk, verdicts
from services.alert_desk import Queued
from services.attacks import attacks
from services.errors import UnknownName

MOST = 1_000


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert. `attack`: the alert that leads its attack; alerts about one account at the same time are one, as on the pages. `exposure`: decimal
    text in `currency`. `status`: of its order, "" = none. `verdict`: "" = nobody has given one."""

    finding_id: str
    attack: str
    detector: str
    subject_kind: str
    subject: str
    reason: str
    first_ms: int
    last_ms: int
    calls: int
    exposure: str
    currency: str
    example_call_ids: list[str]
    status: str
    verdict: str
    verdict_who: str


class AskedVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an alert was, and why; `quiet`: for how long a subject that is not fraud is quiet, as 7d."""

    verdict: Literal["fraud", "not fraud", "unsure"]
    why: str
    quiet: str = "7d"
    tenant: str = ""


class GivenVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a verdict has led to. `repeated`: the alert has it already, from the same key and for the same reason: nothing was changed."""

    finding_id: str
    verdict: str
    who: str
    at_ms: int
    spread_to: list[str]
    lifted: list[str]
    quiet_until_ms: int
    repeated: bool


def listed(engine: Engine, tenant: str, most: int) -> list[Alert]:
    """A tenant's newest alerts, those that a person must look at first."""
    with reading(engine) as conn:
        return _queue(conn, tenant, max(1, min(most, MOST)))


def one(engine: Engine, tenant: str, finding_id: str) -> Alert:
    """One alert of a tenant. Raises `UnknownName`."""
    with reading(engine) as conn:
        finding = alerts.find(conn, finding_id)
        if finding is None or finding.tenant != tenant:
            raise UnknownName(f"tenant {tenant} has no alert {finding_id[:64]!r}")
        queued = (other for other in _queue(conn, tenant, MOST) if other.finding_id == finding_id)
        return next(queued, None) or _shown(alert_desk.queued(conn, finding), finding_id)


def _queue(conn: Connection, tenant: str, most: int) -> list[Alert]:
    queue = alert_desk.queue(conn, tenant, wall_clock_ms(), most)
    led_by = {one.finding.finding_id: attack.lead.finding.finding_id for attack in attacks(queue) for one in attack.members}
    return [_shown(one, led_by[one.finding.finding_id]) for one in queue]


def give(engine: Engine, tenant: str, finding_id: str, asked: AskedVerdict, who: str) -> GivenVerdict:
    """Stores a verdict on an alert of a tenant, with what follows. Raises `ServiceError` and `ValueError`."""
    quiet_ms = int(durations.to_ms(asked.quiet))
    with writing(engine) as conn:
        given = verdicts.give_once(conn, tenant, finding_id, asked.verdict, who, asked.why, wall_clock_ms(), quiet_ms)
    stored = given.verdict
    return GivenVerdict(
        finding_id=stored.finding_id, verdict=stored.verdict, who=stored.who, at_ms=stored.at_ms, spread_to=given.spread_to, lifted=given.lifted,
        quiet_until_ms=given.quiet_until_ms, repeated=given.repeated,
    )  # fmt: skip


def _shown(one: Queued, attack: str) -> Alert:
    found, said = one.finding, one.verdict
    same = ("finding_id", "detector", "subject_kind", "subject", "reason", "first_ms", "last_ms", "calls", "currency", "example_call_ids")
    return Alert(
        attack=attack, exposure=to_text(found.exposure_nanos), status=one.status, verdict=said.verdict if said else "",
        verdict_who=said.who if said else "",
        **{name: getattr(found, name) for name in same},
    )  # fmt: skip
