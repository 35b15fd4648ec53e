"""Novelty: an account's quarter of an hour is unlike any quarter of an hour of the tenant's accounts lately. Off, unless the policy allows it some
alerts a day.

Nobody has said what such traffic is, so alone this is weak: it finds what no other detector was written for, and every new customer. So it only
warns; its alerts per tenant and UTC day are at most `novelty_alerts_per_day`, which is to be a small share of what the desk can look at.

Quarters of an hour of accounts with calls enough are points (`point`), scored by half-space trees (`detectors.half_space`) before they are learned.
What is reported is stranger than each of the last `RECENT` points; it is not learned, so that an attack does not become normal.
"""

from __future__ import annotations

import math

import msgspec
import polars as pl

from core.alert_text import finding_text
from core.facts import Facts
from core.money import in_range
from core.orders import BlockOrder, Finding
from detectors import alerts, half_space
from detectors.alerts import Alert
from detectors.half_space import WINDOW, Masses
from detectors.profile import DAY_MS
from detectors.protocol import Limits, Settings, Spanning

QUARTER_MS = 900_000
LEAST_CALLS = 5
"""Of a quarter: fewer say nothing."""
RECENT = 500
MOST_ACCOUNTS = 50_000
"""Of a tenant: those whose quarter began first are dropped."""
SUMMED = ("calls", "ends", "answers", "shorts", "rings", "talk_ms", "delay_ms", "nanos", "early", "sided", "by_callee")


class Quarter(msgspec.Struct):
    """An account's running quarter of an hour, and its usual calls in one."""

    begin_ms: int = 0
    calls: int = 0
    ends: int = 0
    answers: int = 0
    shorts: int = 0
    rings: int = 0
    talk_ms: int = 0
    delay_ms: int = 0
    nanos: int = 0
    early: int = 0
    sided: int = 0
    by_callee: int = 0
    currency: str = ""
    learned_ms: int = 0
    call_id: str = ""
    usual_calls: float = 0.0
    quarters: int = 0


class Lane(msgspec.Struct):
    """Of a tenant. `recent`: the masses of the last points; `written`: how many alerts the day has had; `left_out`: how many more the cap left
    out of it."""

    masses: Masses = msgspec.field(default_factory=Masses)
    recent: list[int] = []
    accounts: dict[str, Quarter] = {}
    day: int = 0
    written: int = 0
    left_out: int = 0


class State(msgspec.Struct):
    """By tenant."""

    lanes: dict[str, Lane] = {}
    alerts: dict[str, Alert] = {}


def point(quarter: Quarter) -> list[float]:
    """What a quarter is compared by, each from 0 to 1.

    >>> [round(value, 2) for value in point(Quarter(calls=20, ends=20, answers=10, talk_ms=600_000, delay_ms=100_000, nanos=5 * 10**9))]
    [0.3, 0.8, 0.5, 0.0, 0.0, 0.41, 0.27, 0.05, 0.0, 0.5]
    """
    answers, ends = max(quarter.answers, 1), max(quarter.ends, 1)
    found = (
        math.log1p(quarter.calls) / 10, 0.5 + math.log((quarter.calls + 1) / (quarter.usual_calls + 1)) / 10, quarter.answers / ends,
        quarter.shorts / answers, quarter.rings / ends, math.log1p(quarter.talk_ms / answers / 1000) / 10,
        math.log1p(quarter.delay_ms / answers / 1000) / 9, math.log1p(quarter.nanos / answers / 1e9) / 8, quarter.early / answers,
        quarter.by_callee / quarter.sided if quarter.sided else 0.5,
    )  # fmt: skip
    return [min(max(value, 0.0), 1.0) for value in found]


def detect(state: State, cut: pl.DataFrame, settings: Settings) -> tuple[list[Finding], list[BlockOrder]]:
    """Add one cut (in place), and report the quarters that have ended and are unlike the others."""
    findings: list[Finding] = []
    by = ("tenant", "subject", "second_ms", "currency", "learned_ms", "call_id", *SUMMED)
    for tenant, account, t_ms, currency, learned_ms, call_id, *sums in (
        cut.filter(kind="novel").sort("second_ms", "tenant", "subject", "currency", "call_id").select(by).iter_rows()
    ):
        lane = state.lanes.setdefault(tenant, Lane())
        quarter = lane.accounts.setdefault(account, Quarter(begin_ms=t_ms // QUARTER_MS * QUARTER_MS))
        if t_ms >= quarter.begin_ms + QUARTER_MS:
            if quarter.calls >= LEAST_CALLS and (finding := _weigh(state, lane, tenant, account, quarter, settings)):
                findings.append(finding)
            usual = quarter.usual_calls + (quarter.calls - quarter.usual_calls) / min(quarter.quarters + 1, 96)
            quarter = Quarter(begin_ms=t_ms // QUARTER_MS * QUARTER_MS, usual_calls=usual, quarters=quarter.quarters + 1)
            lane.accounts.pop(account)  # so that those whose quarter began first come first
            lane.accounts[account] = quarter
        if len(lane.accounts) > MOST_ACCOUNTS:
            del lane.accounts[next(iter(lane.accounts))]
        for name, more in zip(SUMMED, sums, strict=True):
            setattr(quarter, name, getattr(quarter, name) + more)
        quarter.currency, quarter.call_id = currency or quarter.currency, call_id or quarter.call_id
        quarter.learned_ms = max(quarter.learned_ms, learned_ms)
    return findings, []


def _weigh(state: State, lane: Lane, tenant: str, account: str, quarter: Quarter, settings: Settings) -> Finding | None:
    """Scores a quarter, then learns it unless it is strange; the finding, if the day has one left."""
    where = point(quarter)
    mass = half_space.mass(lane.masses, where)
    knows = lane.masses.learned >= 2 * WINDOW and len(lane.recent) == RECENT
    is_strange = knows and mass < min(lane.recent)
    if not is_strange:
        half_space.learn(lane.masses, where)
        lane.recent = [*lane.recent, mass][-RECENT:]
        return None
    policy, name, day = settings.policy_of(tenant), f"{tenant}\x1f{account}", quarter.begin_ms // DAY_MS
    if day > lane.day:
        lane.day, lane.written, lane.left_out = day, 0, 0
    if alerts.is_recent(state.alerts, name, quarter.begin_ms, 1.0, policy):
        return None
    if lane.written >= policy.novelty_alerts_per_day:
        lane.left_out += 1
        return None
    lane.written += 1
    alert = alerts.episode(state.alerts, name, quarter.begin_ms, 1.0, policy, (tenant, "novelty", "account", account))
    facts = facts_of(account, quarter)
    return Finding(
        finding_id=alert.finding_id, tenant=tenant, detector="novelty", subject_kind="account", subject=account,
        detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms, calls=quarter.calls,
        exposure_nanos=facts.nanos, currency=facts.currency, score=1.0, reason=finding_text(facts), example_call_ids=[quarter.call_id],
        learned_ms=quarter.learned_ms, facts=facts,
    )  # fmt: skip


def facts_of(account: str, quarter: Quarter) -> Facts:
    """
    >>> quarter = Quarter(calls=300, ends=290, answers=29, shorts=20, talk_ms=290_000, nanos=4 * 10**9, currency="EUR", usual_calls=12.4)
    >>> print(finding_text(facts_of("acme", quarter)))
    acme has sent 300 calls in a quarter of an hour (usually 12): 10 % answered, 10 s of talk per answered call, 69 % of them very short, 4.00 EUR. \
It looks like traffic that is unlike what any account sent lately; nobody has said what it is. Not blocked: this kind of finding only warns.
    """
    answers, ends = max(quarter.answers, 1), max(quarter.ends, 1)
    measured = [quarter.usual_calls, quarter.answers / ends, quarter.talk_ms / answers / 1000, quarter.shorts / answers]
    return Facts(
        subject_kind="account", account=account, calls=quarter.calls, talk_ms=quarter.talk_ms, window_ms=QUARTER_MS, nanos=in_range(quarter.nanos),
        currency=quarter.currency, fraud="novelty", measured=[round(value, 4) for value in measured], no_block="warns",
    )  # fmt: skip


def forget(state: State, at_ms: int) -> None:
    """Drop the accounts that were silent for a week."""
    alerts.forget(state.alerts, at_ms - 2 * DAY_MS)
    for tenant, lane in list(state.lanes.items()):
        for account in [account for account, quarter in lane.accounts.items() if quarter.begin_ms < at_ms - 7 * DAY_MS]:
            del lane.accounts[account]
        if not lane.accounts:
            del state.lanes[tenant]


def _account(usage: pl.DataFrame, limits: Limits) -> pl.Series | None:
    """The account of each row, of tenants whose policy asks for it."""
    asked = [tenant for tenant in dict.fromkeys(usage["tenant"].to_list()) if limits.novelty(tenant)]
    if not asked:
        return None
    return usage.select(pl.when(pl.col("tenant").is_in(asked)).then("account").otherwise(pl.lit("")).alias("account"))["account"]


DETECTOR = Spanning(
    name="novelty",
    about="a quarter of an hour of an account that is unlike any of the tenant's accounts lately; a few alerts a day, if the policy allows any",
    sums={"novel": _account},
    state=State,
    detect=detect,
    forget=forget,
    asked=True,
)
