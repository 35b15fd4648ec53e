"""From rows over a line to alerts and block orders.

Findings of one detector about one subject fold into one alert an episode. While its condition holds an alert says so again each minute,
and with it goes the order, so that a dropped one is not a lost block. What no order may touch is refused here, and again where orders are delivered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import polars as pl

from core.config import Policy
from core.ids import derived_id
from core.money import to_text
from core.orders import BlockOrder, Finding, Key, order_id
from core.safety import Protected, refusal
from detectors.burst import LEVELS
from detectors.caps import Breach
from detectors.risk import ORDINARY

EXAMPLES = 5

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


class Hit(NamedTuple):
    """A row of the features frame that crossed a detector's line for a subject."""

    row: int
    detector: str
    subject_kind: str
    subject: str
    score: float
    weighted: float
    usual: float
    words: str
    key: Key | None


class Verdict(NamedTuple):
    """What a batch leads to."""

    findings: list[Finding]
    orders: list[BlockOrder]


def hits(frame: pl.DataFrame, breaches: list[Breach]) -> list[Hit]:
    """The rows over a line, in their order."""
    found: list[Hit] = []
    for level in LEVELS:
        if not frame.height:
            break
        over = frame.with_row_index("row").filter(pl.col(f"{level}_score") >= 1.0)
        for row in over.iter_rows(named=True):
            if level == "a_number" and not row["a_number"]:
                continue  # a withheld caller is no subject of its own
            if level == "b_range" and not row["b_range"]:
                continue
            narrower = [n for n in LEVELS[LEVELS.index(level) + 1 :] if row[f"{n}_score"] >= 1.0 and row[n]]
            found.append(_burst(level, row, narrower[-1] if narrower else ""))
    columns = {name: frame[name].to_list() for name in ("tenant", "account", "ingress_trunk", "country")} if breaches else {}
    for breach in breaches:
        tenant, account, trunk, country = (columns[name][breach.row] for name in ("tenant", "account", "ingress_trunk", "country"))
        subject = {"account": account, "trunk": trunk, "destination": f"{account}>{country}"}[breach.watched]
        value, line = (
            (to_text(breach.value), to_text(breach.line)) if breach.cap.startswith("money") else (str(breach.value), str(breach.line))
        )
        words = f"{breach.watched} {subject}: {CAP_WORDS[breach.cap]} {value}, the cap is {line}"
        if breach.cap == "first_seen":
            words = f"account {account} calls {country or 'an unknown country'} for the first time"
        # A destination's and a trunk's cap warn; only an account's own cap may stop the account.
        key = Key(tenant=tenant, account=account) if breach.watched == "account" and account else None
        score = 1.0 if not breach.line else breach.value / breach.line
        found.append(Hit(breach.row, f"cap_{breach.cap}", breach.watched, subject, score, 0.0, 0.0, words, key))
    return sorted(found, key=lambda hit: (hit.row, hit.detector, hit.subject_kind))


def _burst(level: str, row: dict[str, object], narrower: str) -> Hit:
    account = str(row["account"])
    who = account or f"trunk:{row['ingress_trunk']}"
    a_number, b_range, currency = str(row["a_number"]), str(row["b_range"]), str(row["currency"])
    subject = {
        "account": who,
        "a_number": f"{who}/{a_number}",
        "b_range": f"{who}/{a_number or 'withheld'}>{b_range}",
    }[level]
    money, weighted, usual, minutes, calls = (float(str(row[f"{level}_{n}"])) for n in ("money", "weighted", "usual", "minutes", "calls"))
    risk = "" if row["risk"] == ORDINARY else f"{row['risk']} "
    where = f", now towards {risk}{b_range or 'short numbers'} ({row['country'] or 'no country'})"
    words = (
        f"{level.replace('_', ' ')} {subject}: {money:.2f} {currency} on {calls:.0f} calls and {minutes:.1f} minutes in a short time"
        f" ({weighted:.2f} weighed by risk), its usual is {usual:.2f}{where}"
    )
    if narrower:  # the narrowest subject over its line takes the block; a wider one says what it sees
        words += f"; the block is left to its {narrower.replace('_', ' ')}"
    key = None
    if account and not narrower:  # a caller whom the switch did not authenticate is never blocked by us
        key = Key(
            tenant=str(row["tenant"]),
            account=account,
            a_number=a_number if level != "account" else "",
            b_range=b_range if level == "b_range" else "",
        )
    return Hit(
        int(str(row["row"])), "burst", level, subject, float(str(row[f"{level}_score"])), weighted, usual, words, key,
    )  # fmt: skip


def decide(
    alerts: dict[str, Alert],
    found: list[Hit],
    frame: pl.DataFrame,
    policy: Policy,
    protected: Protected,
    examples: Callable[[int, str, str], list[tuple[str, int]]],
) -> Verdict:
    """Fold hits into alerts, and turn alerts into orders.

    `examples(row, subject_kind, subject)` gives (call id, setup time) of calls that show it.
    """
    findings: list[Finding] = []
    orders: list[BlockOrder] = []
    for hit in found:
        row = frame.row(hit.row, named=True)
        t_ms: int = row["t_ms"]
        name = f"{row['tenant']}\x1f{hit.detector}\x1f{hit.subject_kind}\x1f{hit.subject}"
        alert = alerts.get(name)
        sums = (row[f"{hit.subject_kind}_sum_nanos"], row[f"{hit.subject_kind}_sum_calls"]) if hit.detector == "burst" else None
        if alert is None or t_ms - alert.last_ms > policy.episode_ms:
            exposed, counted = (0, 0)
            if sums is not None:  # what the short sum still holds belongs to the episode
                exposed = sums[0] - round(row[f"{hit.subject_kind}_money"] * 1e9)
                counted = sums[1] - round(row[f"{hit.subject_kind}_calls"])
            bucket = t_ms // policy.episode_ms
            alert = alerts[name] = Alert(
                derived_id("finding", row["tenant"], hit.detector, hit.subject_kind, hit.subject, bucket),
                t_ms, t_ms, t_ms, 0, 0, exposed, counted, hit.score,
            )  # fmt: skip
        alert.last_ms = max(alert.last_ms, t_ms)
        alert.score = max(alert.score, hit.score)
        if alert.issues and t_ms - alert.said_ms < policy.reissue_ms:
            continue
        shown = examples(hit.row, hit.subject_kind, hit.subject)
        alert.first_ms = min([alert.first_ms, *(setup for _, setup in shown if setup)])
        alert.said_ms, alert.issues = t_ms, alert.issues + 1
        exposure = sums[0] - alert.start_nanos if sums else 0
        calls = sums[1] - alert.start_calls if sums else len(shown)
        reason = hit.words
        order = None
        if hit.key is not None and hit.score >= policy.order_score:
            order = BlockOrder(
                order_id=order_id(hit.key, alert.finding_id, alert.issues), key=hit.key, action="refuse", created_at_ms=t_ms,
                learned_ms=row["learned_ms"], expires_at_ms=t_ms + policy.order_ttl_ms, finding_id=alert.finding_id, reason=reason,
            )  # fmt: skip
        if order is not None and (no := refusal(order, protected, automatic=True)):
            order, reason = None, f"{reason}; not blocked: {no}"
        findings.append(
            Finding(
                finding_id=alert.finding_id, tenant=row["tenant"], detector=hit.detector, subject_kind=hit.subject_kind, subject=hit.subject,
                detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms, calls=calls, exposure_nanos=exposure,
                currency=row["currency"], score=round(alert.score, 3), reason=reason, example_call_ids=[call for call, _ in shown],
                key=order.key if order else None, learned_ms=row["learned_ms"],
            )
        )  # fmt: skip
        if order is not None:
            orders.append(order)
    return Verdict(findings, orders)


def forget(alerts: dict[str, Alert], before_ms: int) -> None:
    """Episodes that ended before a time are over."""
    for name in [name for name, alert in alerts.items() if alert.last_ms < before_ms]:
        del alerts[name]
