"""From rows over a line to alerts and block orders.

Findings of one detector about one subject fold into one alert an episode. While its condition holds an alert says so again each minute,
and with it goes the order, so that a dropped one is not a lost block. What no order may touch is refused here, and again where orders are delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import polars as pl

from core.alert_words import what_of, words_of
from core.facts import UNPRICED, Facts
from core.ids import derived_id
from core.money import in_range
from core.orders import BlockOrder, Finding, Key, order_id
from core.policy import Policy
from core.safety import Protected, refusal
from detectors.burst import LEVELS, Sight
from detectors.caps import Breach
from detectors.findings import of_breach, of_burst, past_of
from detectors.recent import EXAMPLES, Memory
from detectors.unpriced import DialledSoFar

UNPRICED_SCORE = f"{UNPRICED}_score"

class Alert(msgspec.Struct):
    """An episode of a subject, while it lasts."""

    finding_id: str
    detected_at_ms: int
    first_ms: int
    last_ms: int
    said_ms: int  # when it was last written out
    issues: int
    start_nanos: int  # what of the subject's exact sums came before the episode
    start_calls: int
    score: float
    home: int = -1  # core.partition.home_of its subject; -1 = from before it was kept
    start_talk_ms: int = 0
    began_ms: int = 0  # from when on its calls count; 0 = from before it was kept
    ordered_to_ms: int = 0  # how long its last order lives
    past: tuple[float, float, int] = (-1.0, -1.0, 0)  # detectors.findings.Past


class Hit(NamedTuple):
    """A row of the features frame that crossed a detector's line for a subject."""

    row: int
    detector: str
    subject_kind: str
    subject_key: int  # 64-bit, of the state: never in an id or a log
    score: float
    breach: Breach | None  # of a cap
    narrower: str  # the narrower level that is over its line as well: the block is left to it


class Verdict(NamedTuple):
    """What a batch leads to."""

    findings: list[Finding]
    orders: list[BlockOrder]
    places: dict[str, int]  # finding_id -> the partition of its record


def hits(frame: pl.DataFrame, breaches: list[Breach]) -> list[Hit]:
    """The rows over a line, in their order."""
    found: list[Hit] = []
    if UNPRICED_SCORE in frame.columns:
        scores, keys = frame[UNPRICED_SCORE].to_numpy(), frame[f"k_{UNPRICED}"].to_numpy()
        for row in np.flatnonzero(scores >= 1.0).tolist():
            found.append(Hit(row, "burst", UNPRICED, int(keys[row]), float(scores[row]), None, ""))
    over = {level: (frame[f"{level}_score"] >= 1.0).to_numpy() for level in LEVELS} if frame.height else {}
    if over and any(rows.any() for rows in over.values()):
        # A withheld caller and a short number are no subjects of their own.
        over["a_number"] = over["a_number"] & (frame["a_number"] != "").to_numpy()
        over["b_range"] = over["b_range"] & (frame["b_range"] != "").to_numpy()
        for at, level in enumerate(LEVELS):
            keys, scores = frame[f"k_{level}"].to_numpy(), frame[f"{level}_score"].to_numpy()
            for row in np.flatnonzero(over[level]).tolist():
                narrower = next((n for n in reversed(LEVELS[at + 1 :]) if over[n][row]), "")
                found.append(Hit(row, "burst", level, int(keys[row]), float(scores[row]), None, narrower))
    for breach in breaches:
        score = breach.value / breach.line if breach.line else 1.0
        key = int(frame[f"k_{breach.watched}"][breach.row])
        found.append(Hit(breach.row, f"cap_{breach.cap}", breach.watched, key, score, breach, ""))
    return sorted(found, key=lambda hit: (hit.row, hit.detector, hit.subject_kind))


def subject_of(kind: str, row: dict[str, Any]) -> str:
    """A subject as a person reads it."""
    who = row["account"] or f"trunk:{row['ingress_trunk']}"
    return {
        "account": str(who),
        "a_number": f"{who}/{row['a_number']}",
        "b_range": f"{who}/{row['a_number'] or 'withheld'}>{row['b_range']}",
        UNPRICED: f"{who}>numbers that cannot be read or priced",
        "destination": f"{who}>{row['country'] or 'no country'}",
    }[kind]


def key_of(hit: Hit, row: dict[str, Any], policy: Policy) -> tuple[Key | None, str]:
    """Whom a block against this hit would name; or nobody, and why (`core.alert_words.NO_BLOCK`)."""
    kind = hit.subject_kind
    if not row["account"]:
        return None, "no account"
    if hit.narrower:
        return None, hit.narrower
    if kind == "destination":
        return None, "first call" if hit.breach and hit.breach.cap == "first_seen" else "destination"
    if kind == UNPRICED and policy.unpriced_blocks == "never":
        return None, "policy"
    if hit.score < policy.order_score:
        return None, "score"
    if kind in ("account", UNPRICED):
        return Key(tenant=row["tenant"], account=row["account"]), ""
    b_range = row["b_range"] if kind == "b_range" else ""
    return Key(tenant=row["tenant"], account=row["account"], a_number=row["a_number"], b_range=b_range), ""


def running(alerts: dict[str, Alert], name: str, t_ms: int, score: float, policy: Policy) -> Alert | None:
    """The episode that a crossing belongs to, which goes on with it; None = the crossing begins one."""
    alert = alerts.get(name)
    if alert is None or t_ms - alert.last_ms > policy.episode_ms:
        return None
    alert.last_ms, alert.score = max(alert.last_ms, t_ms), max(alert.score, score)
    return alert


def order_of(
    key: Key, alert: Alert, t_ms: int, learned_ms: int, reason: str, policy: Policy, by: str = "judge", *, ask: bool = False
) -> BlockOrder:
    """The order of this issue of an alert."""
    return BlockOrder(
        order_id=order_id(key, alert.finding_id, alert.issues), key=key, action="refuse", created_at_ms=t_ms, learned_ms=learned_ms,
        expires_at_ms=learned_ms + policy.order_ttl_ms, finding_id=alert.finding_id, reason=reason, by=by, ask=ask,
    )  # fmt: skip


def decide(
    alerts: dict[str, Alert],
    found: list[Hit],
    frame: pl.DataFrame,
    sights: Mapping[str, Sight],
    policy: Policy,
    protected: Protected,
    memory: Memory,
    so_far: DialledSoFar,
    currency_of: Callable[[str, str], str],
) -> Verdict:
    """Fold hits into alerts, and turn alerts into orders. `sights`: by level. `currency_of`: of an
    account, where a row itself has no money."""
    findings: list[Finding] = []
    orders: list[BlockOrder] = []
    places: dict[str, int] = {}
    times = frame["t_ms"].to_list()
    for hit in found:
        t_ms = times[hit.row]
        name = f"{hit.detector}/{hit.subject_kind}/{hit.subject_key:x}"
        alert = running(alerts, name, t_ms, hit.score, policy)
        if alert is not None and t_ms - alert.said_ms < policy.reissue_ms:
            continue
        row, kind = frame.row(hit.row, named=True), hit.subject_kind
        if hit.breach is None:
            row |= sights["account"].at(hit.row, "account") | sights[kind].at(hit.row, kind)
        if alert is None:
            alert = alerts[name] = _begun(hit, row, policy)
        shown = [*memory.until(hit.row, row["k_range"]), (row["call_id"], row["started_ms"])]
        shown = list(dict.fromkeys(shown))[-EXAMPLES:]
        alert.first_ms = min([alert.first_ms, *(started for _, started in shown)])
        alert.said_ms, alert.issues = t_ms, alert.issues + 1
        facts = _facts(hit, row, alert, row["currency"] or currency_of(row["tenant"], row["account"]), so_far)
        key, no_block = key_of(hit, row, policy)
        order = None
        if key is not None:
            ask = kind == UNPRICED and policy.unpriced_blocks == "ask"
            order = order_of(key, alert, t_ms, row["learned_ms"], what_of(facts), policy, ask=ask)
            if no_block := refusal(order, protected, automatic=True):
                order = None
        facts = _with_order(facts, order, alert, row["learned_ms"], no_block)
        places[alert.finding_id] = row["partition"]
        findings.append(
            Finding(
                finding_id=alert.finding_id, tenant=row["tenant"], detector=hit.detector, subject_kind=kind, subject=subject_of(kind, row),
                detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms,
                calls=len(shown) if hit.breach else facts.calls, exposure_nanos=facts.nanos, currency=facts.currency,
                score=round(alert.score, 3), reason=words_of(facts), example_call_ids=[call for call, _ in shown],
                key=order.key if order else None, learned_ms=row["learned_ms"], facts=facts,
            )
        )  # fmt: skip
        if order is not None:
            orders.append(order)
    memory.rest()
    so_far.rest()
    return Verdict(findings, orders, places)


def _with_order(facts: Facts, order: BlockOrder | None, alert: Alert, learned_ms: int, no_block: str) -> Facts:
    """What is done about a finding; where nothing is done now, an earlier order of the episode may last."""
    if order is not None and not order.ask:
        alert.ordered_to_ms = order.expires_at_ms
    left_ms = alert.ordered_to_ms - learned_ms
    action: Literal["", "block", "before", "ask"] = "before" if order is None and left_ms > 0 else ""
    if order is not None:
        action, left_ms = "ask" if order.ask else "block", order.expires_at_ms - learned_ms
    return msgspec.structs.replace(facts, action=action, ttl_ms=max(0, left_ms), no_block="" if action else no_block)


def _begun(hit: Hit, row: dict[str, Any], policy: Policy) -> Alert:
    """A new episode. What the windows of its subject hold belongs to it."""
    t_ms, kind = row["t_ms"], hit.subject_kind
    finding_id = derived_id("finding", row["tenant"], hit.detector, kind, subject_of(kind, row), t_ms // policy.episode_ms)
    alert = Alert(finding_id, t_ms, t_ms, t_ms, 0, 0, 0, 0, hit.score, row["home"])
    if hit.breach is None:
        alert.start_nanos = in_range(row[f"{kind}_sum_nanos"] - row[f"{kind}_now_nanos"])
        alert.start_calls = row[f"{kind}_sum_calls"] - row[f"{kind}_now_calls"]
        alert.start_talk_ms = row[f"{kind}_sum_talk_ms"] - row[f"{kind}_now_talk_ms"]
        alert.began_ms = row[f"{kind}_began_ms"]
        alert.past = past_of(row, kind, policy)
    return alert


def _facts(hit: Hit, row: dict[str, Any], alert: Alert, currency: str, so_far: DialledSoFar) -> Facts:
    kind = hit.subject_kind
    dialled = so_far.until(hit.row, hit.subject_key) if kind == UNPRICED else []
    if hit.breach is not None:
        return of_breach(row, hit.breach, currency, dialled)
    nanos = row[f"{kind}_sum_nanos"] - alert.start_nanos
    return of_burst(
        row, kind, row[f"{kind}_sum_calls"] - alert.start_calls, nanos, row[f"{kind}_sum_talk_ms"] - alert.start_talk_ms,
        max(0, row["t_ms"] - (alert.began_ms or alert.first_ms)), alert.past, currency if nanos else "", dialled,
    )  # fmt: skip


def forget(alerts: dict[str, Alert], before_ms: int) -> None:
    """Episodes that ended before a time are over."""
    for name in [name for name, alert in alerts.items() if alert.last_ms < before_ms]:
        del alerts[name]
