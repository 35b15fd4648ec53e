"""A person's verdict on an alert: fraud, not fraud, or unsure; and what follows from it.

Only subjects that were alerted have verdicts, and they come late: whoever learns from them must know both (`docs/verdicts.md`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from books import Connection, alerts, audit, orders, verdicts
from books.verdicts import WORDS, Verdict, Word
from core.detector_names import detector_text
from core.durations import text as span_of
from core.orders import Finding
from core.policy import Policy
from detectors.corrector import BIAS, Corrector, Judged, learn
from detectors.drift import Watched, watch
from services import known_ranges
from services.backtest import policy_in_force
from services.errors import BadArgument, ServiceError, UnknownName
from services.publishing import publish_policy

QUIET_MS = 7 * 86_400_000
MOST_QUIET_MS = 90 * 86_400_000
OPEN_MS = 24 * 3_600_000
"""An alert whose last record is older is not open any more."""


@dataclass(frozen=True)
class GivenVerdict:
    """What a verdict has led to: alerts that got the same one, orders that were lifted, until when the subject is quiet (0 = it is not)."""

    verdict: Verdict
    spread_to: list[str] = field(default_factory=list)
    lifted: list[str] = field(default_factory=list)
    quiet_until_ms: int = 0
    repeated: bool = False  # it was given before, by the same one and for the same reason: nothing was changed


def give_once(
    conn: Connection, tenant: str, finding_id: str, verdict: str, who: str, why: str, now_ms: int, quiet_ms: int = QUIET_MS
) -> GivenVerdict:
    """As `give`, of an alert of this tenant, for a program that may ask again: the same verdict by the same one for the same reason changes
    nothing."""
    finding = alerts.find(conn, finding_id)
    if finding is None or finding.tenant != tenant:
        raise UnknownName(f"tenant {tenant} has no alert {finding_id[:64]!r}")
    known = verdicts.of(conn, [finding_id]).get(finding_id)
    if known and (known.verdict, known.who, known.why, known.spread_from) == (verdict, who, audit.clean(why), ""):
        silent = verdicts.quiet(conn, now_ms, tenant).get(verdicts.subject_of(finding))
        return GivenVerdict(known, quiet_until_ms=silent.until_ms if silent else 0, repeated=True)
    return give(conn, finding_id, verdict, who, why, now_ms, quiet_ms)


def give(conn: Connection, finding_id: str, verdict: str, who: str, why: str, now_ms: int, quiet_ms: int = QUIET_MS) -> GivenVerdict:
    """Stores a verdict, in one transaction with what follows. Given again it changes nothing but the time.

    fraud       its range is hot for a time; the subject's other open alerts get the same verdict, unless a person has judged them; it is not quiet
                any more
    not fraud   its own orders are lifted; alerts of the same detector about the same subject are not shown, and refuse nothing, for `quiet_ms`
    unsure      nothing

    Raises `ServiceError`.
    """
    if verdict not in WORDS:
        raise BadArgument(f"{verdict!r} is no verdict: write one of {', '.join(WORDS)}")
    word: Word = next(one for one in WORDS if one == verdict)
    if not who.strip() or not why.strip():
        raise ServiceError("A verdict needs a reason: it is recorded, and a colleague will ask.")
    if not 0 < quiet_ms <= MOST_QUIET_MS:
        raise BadArgument("A subject can be quiet for at most 90 days, and for more than 0.")
    finding = alerts.find(conn, finding_id)
    if finding is None:
        raise UnknownName(f"There is no alert {finding_id}: `ringfence alerts list` names them.")
    verdicts.put_verdict(conn, finding, word, who, why, now_ms)
    spread: list[str] = []
    lifted: list[str] = []
    if word == "not fraud":
        lifted = orders.lift_finding(conn, finding_id, who, f"not fraud: {why}", now_ms)
        verdicts.quieten(conn, finding, now_ms + quiet_ms, who, why, now_ms)
    else:
        verdicts.end_quiet(conn, finding, who, f"{word}: {why}", now_ms)
    _ranges(conn, finding, word, who, why, now_ms)
    if word == "fraud":
        for other in verdicts.open_alerts(conn, finding, finding.last_ms - OPEN_MS):
            verdicts.put_verdict(conn, other, word, who, why, now_ms, spread_from=finding_id)
            spread.append(other.finding_id)
    renew(conn, finding.tenant, now_ms)
    stored = verdicts.of(conn, [finding_id])[finding_id]
    return GivenVerdict(stored, spread, lifted, now_ms + quiet_ms if word == "not fraud" else 0)


def _ranges(conn: Connection, finding: Finding, word: Word, who: str, why: str, now_ms: int) -> None:
    """The range of an alert that is fraud is hot from now on; of one that is not, it is no more (`core.known`)."""
    b_range = finding.key.b_range if finding.key else finding.facts.b_range if finding.facts else ""
    if b_range and word == "fraud":
        known_ranges.confirm(conn, finding.tenant, b_range, who, why, now_ms)
    elif b_range and word == "not fraud":
        known_ranges.forget(conn, finding.tenant, b_range, who, why, now_ms, only_confirmed=True)


def text_of(given: GivenVerdict) -> str:
    """What a verdict has led to, in words.

    >>> one = Verdict("f", "t1", "burst", "account", "acme", "not fraud", "anna", "their campaign", 0, 0, "", None)
    >>> text_of(GivenVerdict(one, lifted=["o1"], quiet_until_ms=7 * 86_400_000))
    'acme: not fraud. 1 order is lifted. “burst of money” is quiet about it for 7d.'
    """
    one = given.verdict
    parts = [f"{one.subject}: {one.verdict}."]
    if given.lifted:
        parts.append("1 order is lifted." if len(given.lifted) == 1 else f"{len(given.lifted):,} orders are lifted.")
    if given.quiet_until_ms:
        parts.append(f"“{detector_text(one.detector)}” is quiet about it for {span_of(given.quiet_until_ms - one.at_ms)}.")  # type: ignore[arg-type]
    if given.spread_to:
        parts.append(f"{len(given.spread_to):,} other open alert{'s' * (len(given.spread_to) != 1)} about it got the same verdict.")
    return " ".join(parts)


def correction(conn: Connection, tenant: str) -> Corrector:
    """What the verdicts of a tenant say about the weights of the evidence: each was scored before it was learned. "unsure" teaches nothing."""
    return learn(
        Judged(one.facts, one.verdict == "fraud", bool(one.spread_from))
        for one in verdicts.every(conn, tenant)
        if one.facts is not None and one.verdict != "unsure"
    )


RENEW = 5
"""Corrections in force are learned again when so many verdicts came since."""


def correct(conn: Connection, tenant: str, on: bool, who: str, why: str, now_ms: int) -> Policy:
    """Turns the corrector of a tenant on, with what is learned by now, or off. A new config version."""
    policy = replace(policy_in_force(conn, tenant), corrector="on", **_learned(correction(conn, tenant))) if on else _without(conn, tenant)
    publish_policy(conn, tenant, policy, who, why, now_ms)
    return policy


def renew(conn: Connection, tenant: str, now_ms: int) -> None:
    """Where the corrector is on: publishes what is learned by now, if enough verdicts came since. What does not help any more is withdrawn."""
    policy = policy_in_force(conn, tenant)
    if policy.corrector == "off":
        return
    found = correction(conn, tenant)
    if found.learned - policy.corrected_by < RENEW and found.helps == bool(policy.corrected_by):
        return
    changed = replace(policy, **_learned(found))
    if changed != policy:
        publish_policy(conn, tenant, changed, "corrector", f"learned from {found.learned} verdicts", now_ms)


def _without(conn: Connection, tenant: str) -> Policy:
    return replace(policy_in_force(conn, tenant), corrector="off", corrections={}, corrected_by=0)


def _learned(found: Corrector) -> dict[str, Any]:
    if not found.helps:
        return {"corrections": {}, "corrected_by": 0}
    weights = {code: round(weight, 4) for code, weight in sorted(found.weights.items())} | {BIAS: round(found.bias, 4)}
    return {"corrections": {code: weight for code, weight in weights.items() if weight}, "corrected_by": found.learned}


def drifting(conn: Connection, tenant: str) -> list[Watched]:
    """The precision of each detector by the verdicts that people gave themselves, and when it changed."""
    said = verdicts.every(conn, tenant)
    return watch((one.detector, one.at_ms, one.verdict == "fraud") for one in said if not one.spread_from and one.verdict != "unsure")
