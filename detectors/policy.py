"""From rows over a line to alerts and block orders.

Findings of one detector about one subject fold into one alert an episode. While its condition holds an alert says so again each minute,
and with it goes the order, so that a dropped one is not a lost block. What no order may touch is refused here, and again where orders are delivered.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from core.config import Policy
from core.ids import derived_id
from core.money import in_range, to_text
from core.orders import BlockOrder, Finding, Key, order_id
from core.safety import Protected, refusal
from detectors.burst import LEVELS
from detectors.caps import Breach
from detectors.recent import EXAMPLES, Memory
from detectors.risk import ORDINARY

CAP_WORDS = {
    "money_hour": "money this hour", "money_day": "money this day", "concurrent_calls": "calls at once",
    "calls_per_second": "calls in a second", "first_seen": "a first call to a country",
}  # fmt: skip


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
        "destination": f"{who}>{row['country'] or 'no country'}",
    }[kind]


def words_of(hit: Hit, row: dict[str, Any], half_life_s: float) -> str:
    """Why, in a sentence. A decayed sum remembers about two half-lives."""
    subject = subject_of(hit.subject_kind, row)
    if (breach := hit.breach) is not None:
        if breach.cap == "first_seen":
            return f"account {row['account']} calls {row['country'] or 'an unknown country'} for the first time"
        is_money = breach.cap.startswith("money")
        value, line = (to_text(breach.value), to_text(breach.line)) if is_money else (str(breach.value), str(breach.line))
        return f"{breach.watched} {subject}: {CAP_WORDS[breach.cap]} {value}, the cap is {line}"
    level = hit.subject_kind
    risk = "" if row["risk"] == ORDINARY else f"{row['risk']} numbers "
    left = f"; the block is left to its {hit.narrower.replace('_', ' ')}" if hit.narrower else ""
    money = f"{row[f'{level}_money']:.2f} {row['currency'] or 'of no known price'}"
    calls = f"{row[f'{level}_calls']:.0f}"
    usual, minutes = row[f"{level}_usual"], row[f"{level}_minutes"]
    talk = f"{minutes:.0f} minutes" if minutes >= 1.5 else "a few seconds"
    return (
        f"{level.replace('_', ' ')} {subject}: {money} on {calls} call{'s' * (calls != '1')} of {talk} "
        f"within {half_life_s / 30:.0f} minutes, worth {row[f'{level}_weighted']:.0f} by where it goes and how it crowds (usual: {usual:.2f}); "
        f"now towards {risk}{row['b_range'] or 'short numbers'} ({row['country'] or 'no country'}){left}"
    )


def key_of(hit: Hit, row: dict[str, Any]) -> Key | None:
    """Whom a block against this hit would name; None = nobody: a caller whom the switch did not authenticate, a destination."""
    if not row["account"] or hit.narrower:
        return None
    if hit.breach is not None:
        return Key(tenant=row["tenant"], account=row["account"]) if hit.subject_kind == "account" else None
    return Key(
        tenant=row["tenant"],
        account=row["account"],
        a_number=row["a_number"] if hit.subject_kind != "account" else "",
        b_range=row["b_range"] if hit.subject_kind == "b_range" else "",
    )


def running(alerts: dict[str, Alert], name: str, t_ms: int, score: float, policy: Policy) -> Alert | None:
    """The episode that a crossing belongs to, which goes on with it; None = the crossing begins one."""
    alert = alerts.get(name)
    if alert is None or t_ms - alert.last_ms > policy.episode_ms:
        return None
    alert.last_ms, alert.score = max(alert.last_ms, t_ms), max(alert.score, score)
    return alert


def order_of(key: Key, alert: Alert, t_ms: int, learned_ms: int, reason: str, policy: Policy, by: str = "judge") -> BlockOrder:
    """The order of this issue of an alert."""
    return BlockOrder(
        order_id=order_id(key, alert.finding_id, alert.issues), key=key, action="refuse", created_at_ms=t_ms, learned_ms=learned_ms,
        expires_at_ms=learned_ms + policy.order_ttl_ms, finding_id=alert.finding_id, reason=reason, by=by,
    )  # fmt: skip


def decide(
    alerts: dict[str, Alert],
    found: list[Hit],
    frame: pl.DataFrame,
    policy: Policy,
    protected: Protected,
    memory: Memory,
) -> Verdict:
    """Fold hits into alerts, and turn alerts into orders."""
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
        row = frame.row(hit.row, named=True)
        kind = hit.subject_kind
        sums = None if hit.breach else (row[f"{kind}_sum_nanos"], row[f"{kind}_sum_calls"])
        if alert is None:
            start_nanos, start_calls = 0, 0
            if sums is not None:  # what the short sum still holds belongs to the episode
                start_nanos = in_range(sums[0] - round(row[f"{kind}_money"] * 1e9))
                start_calls = sums[1] - round(row[f"{kind}_calls"])
            finding_id = derived_id("finding", row["tenant"], hit.detector, kind, subject_of(kind, row), t_ms // policy.episode_ms)
            alert = alerts[name] = Alert(
                finding_id, t_ms, t_ms, t_ms, 0, 0, start_nanos, start_calls, hit.score, row["home"]
            )
        shown = [*memory.until(hit.row, row["k_range"]), (row["call_id"], row["started_ms"])]
        shown = list(dict.fromkeys(shown))[-EXAMPLES:]
        alert.first_ms = min([alert.first_ms, *(started for _, started in shown)])
        alert.said_ms, alert.issues = t_ms, alert.issues + 1
        reason, key = words_of(hit, row, policy.half_life_s), key_of(hit, row)
        order = None
        if key is not None and hit.score >= policy.order_score:
            order = order_of(key, alert, t_ms, row["learned_ms"], reason, policy)
            if no := refusal(order, protected, automatic=True):
                order, reason = None, f"{reason}; not blocked: {no}"
        places[alert.finding_id] = row["partition"]
        findings.append(
            Finding(
                finding_id=alert.finding_id, tenant=row["tenant"], detector=hit.detector, subject_kind=kind, subject=subject_of(kind, row),
                detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms,
                calls=sums[1] - alert.start_calls if sums else len(shown), exposure_nanos=in_range(sums[0] - alert.start_nanos) if sums else 0,
                currency=row["currency"], score=round(alert.score, 3), reason=reason, example_call_ids=[call for call, _ in shown],
                key=order.key if order else None, learned_ms=row["learned_ms"],
            )
        )  # fmt: skip
        if order is not None:
            orders.append(order)
    memory.rest()
    return Verdict(findings, orders, places)


def forget(alerts: dict[str, Alert], before_ms: int) -> None:
    """Episodes that ended before a time are over."""
    for name in [name for name, alert in alerts.items() if alert.last_ms < before_ms]:
        del alerts[name]
