"""False answer supervision (FAS): a carrier signals an answer where nobody answered (early), or lets the call run on (late), to charge for it.

A statistical claim about a carrier and a destination, never about one call: answered calls to attempts (ASR), how soon the answer comes, and the
share of very short answered calls, over a day, against the other carriers to the same destination. Each difference is claimed only where the
95 % intervals (Wilson, for shares) do not overlap.

Source: i3Forum, "False Answer Supervision" (early, late, false answer by recordings); ITU-T E.425 for ASR. It only warns: the remedies are a
test call, a dispute and another route.
"""

from __future__ import annotations

import math

import msgspec
import polars as pl

from core.alert_text import finding_text
from core.facts import Facts
from core.money import in_range
from core.orders import BlockOrder, Finding
from detectors import alerts
from detectors.alerts import Alert
from detectors.destination import prefix_destination
from detectors.features import zone_of
from detectors.profile import DAY_MS
from detectors.protocol import Limits, Settings, Spanning

LEAST_ENDS = 100
"""Calls of the carrier, and of its peers, below which nothing is claimed."""
Z = 1.96  # 95 %
SLOWER_DELAY = 0.8
"""A carrier whose answers come about as late as its peers' differs by its traffic (other callers are answered more often), not by its answers."""
FEWER_DELAY = 0.4  # an answer is early where it comes in less than this part of the peers' time
MORE_ANSWERS = 0.2  # the ASR is too high where it is so much over the peers'
MOST_ROUTES = 50_000


class Route(msgspec.Struct):
    """A carrier to a destination: sums that decay by a day."""

    t_ms: int = 0
    ends: float = 0.0
    answers: float = 0.0
    shorts: float = 0.0
    delay_ms: float = 0.0
    talk_ms: float = 0.0
    nanos: float = 0.0
    currency: str = ""
    learned_ms: int = 0
    call_id: str = ""


class State(msgspec.Struct):
    """By tenant, zone and carrier."""

    routes: dict[str, dict[str, Route]] = {}
    alerts: dict[str, Alert] = {}


class Claim(msgspec.Struct, frozen=True):
    """What differs: of the carrier and of its peers, shares or seconds."""

    asr: float
    peers_asr: float
    delay_s: float
    peers_delay_s: float
    shorts: float
    peers_shorts: float


def interval(n: float, of: float) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson).

    >>> low, high = interval(80, 100); round(low, 3), round(high, 3)
    (0.711, 0.867)
    """
    share, squared = n / of, Z * Z / of
    middle, half = share + squared / 2, Z * math.sqrt(share * (1 - share) / of + squared / (4 * of))
    return (middle - half) / (1 + squared), (middle + half) / (1 + squared)


def claim(route: Route, peers: Route) -> Claim | None:
    """What a carrier's answers differ by; None = nothing is claimed.

    >>> honest = Route(ends=400, answers=180, shorts=12, delay_ms=180 * 14_000)
    >>> claim(Route(ends=300, answers=285, shorts=120, delay_ms=285 * 900), honest).asr
    0.95
    >>> claim(Route(ends=300, answers=150, shorts=12, delay_ms=150 * 13_000), honest) is None
    True
    """
    if min(route.ends, peers.ends) < LEAST_ENDS or min(route.answers, peers.answers) < LEAST_ENDS / 5:
        return None
    found = Claim(
        route.answers / route.ends, peers.answers / peers.ends, route.delay_ms / route.answers / 1000, peers.delay_ms / peers.answers / 1000,
        route.shorts / route.answers, peers.shorts / peers.answers,
    )  # fmt: skip
    answers_more = interval(route.answers, route.ends)[0] > interval(peers.answers, peers.ends)[1] + MORE_ANSWERS
    sooner = found.delay_s < FEWER_DELAY * found.peers_delay_s
    shorter = interval(route.shorts, route.answers)[0] > interval(peers.shorts, peers.answers)[1]
    return found if found.delay_s < SLOWER_DELAY * found.peers_delay_s and answers_more + sooner + shorter >= 2 else None


def detect(state: State, cut: pl.DataFrame, settings: Settings) -> tuple[list[Finding], list[BlockOrder]]:
    """Add one cut (in place), and report the routes whose answers differ from their peers'."""
    findings: list[Finding] = []
    rows = cut.filter(kind="route").sort("second_ms", "tenant", "subject", "currency", "call_id")
    by = ("tenant", "subject", "second_ms", "currency", "nanos", "ends", "answers", "shorts", "talk_ms", "delay_ms", "learned_ms", "call_id")
    touched: dict[tuple[str, str, str], int] = {}
    for tenant, subject, t_ms, currency, nanos, ends, answers, shorts, talk_ms, delay_ms, learned_ms, call_id in rows.select(by).iter_rows():
        zone, _, carrier = subject.partition("\x1f")
        routes = state.routes.setdefault(f"{tenant}\x1f{zone}", {})
        route = routes.setdefault(carrier, Route(t_ms=t_ms))
        fade = 2.0 ** (-max(0, t_ms - route.t_ms) / DAY_MS)
        for name, more in (("ends", ends), ("answers", answers), ("shorts", shorts), ("delay_ms", delay_ms), ("talk_ms", talk_ms), ("nanos", nanos)):
            setattr(route, name, getattr(route, name) * fade + more)
        route.t_ms, route.currency = max(route.t_ms, t_ms), currency or route.currency
        route.learned_ms, route.call_id = max(route.learned_ms, learned_ms), call_id
        touched[tenant, zone, carrier] = t_ms
        if len(state.routes) > MOST_ROUTES:
            del state.routes[next(iter(state.routes))]
    for (tenant, zone, carrier), t_ms in touched.items():
        routes = state.routes.get(f"{tenant}\x1f{zone}", {})
        if carrier not in routes:
            continue
        mine, others = routes[carrier], [one for name, one in routes.items() if name != carrier]
        peers = Route(**{name: sum(getattr(one, name) for one in others) for name in ("ends", "answers", "shorts", "delay_ms")})
        if (found := claim(mine, peers)) and (finding := _report(state, tenant, zone, carrier, mine, found, t_ms, settings)):
            findings.append(finding)
    return findings, []


def _report(
    state: State, tenant: str, zone: str, carrier: str, route: Route, found: Claim, t_ms: int, settings: Settings
) -> Finding | None:
    policy = settings.policy_of(tenant)
    name, score = f"{tenant}\x1f{zone}\x1f{carrier}", found.asr / max(found.peers_asr, 0.01)
    if alerts.is_recent(state.alerts, name, t_ms, score, policy):
        return None
    known = state.alerts.get(name)
    if known is not None and t_ms - known.last_ms <= DAY_MS:  # a claim about a day is one episode for as long as it is made each day
        known.last_ms = max(known.last_ms, t_ms)
        known.written_ms = t_ms
        alert = known
    else:
        alert = alerts.episode(state.alerts, name, t_ms, score, policy, (tenant, "fas", "route", zone, carrier))
    facts = facts_of(zone, carrier, route, found)
    return Finding(
        finding_id=alert.finding_id, tenant=tenant, detector="fas", subject_kind="route", subject=f"{carrier}>{zone}",
        detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms, calls=facts.calls, exposure_nanos=facts.nanos,
        currency=facts.currency, score=round(alert.score, 3), reason=finding_text(facts), example_call_ids=[route.call_id],
        learned_ms=route.learned_ms, facts=facts,
    )  # fmt: skip


def facts_of(zone: str, carrier: str, route: Route, found: Claim) -> Facts:
    """
    >>> route = Route(ends=300, answers=285, shorts=120, delay_ms=285 * 900, nanos=3e9, currency="EUR")
    >>> honest = Route(ends=400, answers=180, shorts=12, delay_ms=180 * 14_000)
    >>> print(finding_text(facts_of("2348", "alpha", route, claim(route, honest))))
    Carrier alpha answers 95 % of 300 calls to +234 8… (Nigeria) in a day, after 0.9 s; the other carriers 45 %, after 14 s. Very short: 42 %, \
theirs 7 %. It looks like false answer supervision: calls are charged that nobody answered. Not blocked: this kind of finding only warns.
    """
    to = prefix_destination(zone)
    measured = [round(value, 4) for value in (found.asr, found.peers_asr, found.delay_s, found.peers_delay_s, found.shorts, found.peers_shorts)]
    return Facts(
        subject_kind="route", name=carrier, b_range=zone, calls=round(route.ends), talk_ms=round(route.talk_ms), nanos=in_range(round(route.nanos)),
        currency=route.currency, code=to.code, country=to.country, country_name=to.name, fraud="fas", measured=measured, no_block="warns",
    )  # fmt: skip


def forget(state: State, at_ms: int) -> None:
    """Drop the routes that were silent for three days."""
    alerts.forget(state.alerts, at_ms - 3 * DAY_MS)
    for key, routes in list(state.routes.items()):
        for name in [name for name, route in routes.items() if route.t_ms < at_ms - 3 * DAY_MS]:
            del routes[name]
        if not routes:
            del state.routes[key]


def _route(usage: pl.DataFrame, limits: Limits) -> pl.Series:
    """Zone and carrier of each row that ends a call."""
    rows = zip(usage["final"].to_list(), usage["carrier"].to_list(), usage["b_number"].to_list(), strict=True)
    return pl.Series(
        [f"{zone}\x1f{carrier}" if final and carrier and (zone := zone_of(b_number)) else "" for final, carrier, b_number in rows], dtype=pl.String
    )


DETECTOR = Spanning(
    name="fas",
    about="false answer supervision: a carrier answers calls to a destination more often, sooner or more briefly than the other carriers there",
    sums={"route": _route},
    fields=("carrier", "setup_ms", "answer_ms"),
    state=State,
    detect=detect,
    forget=forget,
)
