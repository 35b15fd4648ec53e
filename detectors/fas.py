"""False answer supervision (FAS): a carrier signals an answer where nobody answered (early), plays a recording to callers whom nobody answers
(recorded), or lets the call run on (late), to charge for it.

A statistical claim about a carrier and a destination over a day, against the other carriers to the same destination, never about one call. Each
difference is claimed only where the 95 % intervals (Wilson, for shares) do not overlap:

fas            two of: more calls are answered (ASR), sooner, more of them very briefly
fas_early      more answers come before a telephone can have rung
fas_recorded   more calls are answered, and more of the answered ones are given up by the caller within a minute, after more similar lengths
fas_late       the called side hangs up less often, as its hanging up is not passed on, and calls last longer or are given up by callers instead

The last two need to know which side hung up (`release_side`); a feed without it shows neither.

Source: i3Forum, "False Answer Supervision" (early, late, false answer by recordings); ITU-T E.425 for ASR. It only warns: the remedies are a
test call, a dispute and another route.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import polars as pl

from core.alert_text import finding_text
from core.facts import Facts
from core.frames import texts
from core.money import in_range
from core.orders import BlockOrder, Finding
from detectors import alerts
from detectors.alerts import Alert
from detectors.destination import prefix_destination
from detectors.features import values_of, zone_of
from detectors.profile import DAY_MS
from detectors.protocol import Limits, Settings, Spanning

LEAST_ENDS = 100
"""Calls of the carrier, and of its peers, below which nothing is claimed."""
Z = 1.96  # 95 %
SLOWER_DELAY = 0.8
"""A carrier whose answers come about as late as its peers' differs by its traffic (other callers are answered more often), not by its answers."""
FEWER_DELAY = 0.4  # an answer is early where it comes in less than this part of the peers' time
MORE_ANSWERS = 0.2  # the ASR is too high where it is so much over the peers'
MORE_EARLY = 0.2
"""Machines answer before they ring, and one customer may call them over one carrier: so much more than the peers' share is no such mix."""
MORE_BRIEF = 0.1
LESS_SPREAD = 0.9  # of the lengths of brief calls (their deviation to their mean), against the peers'
FEWER_CALLEES = 0.15  # the called side hangs up in so much less of the calls than at the peers
LEAST_CALLEES = 0.2  # of the peers' calls: below it this traffic does not tell
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
    early: float = 0.0
    sided: float = 0.0
    by_callee: float = 0.0
    briefs: float = 0.0
    brief_s: float = 0.0
    brief_s2: float = 0.0
    currency: str = ""
    learned_ms: int = 0
    call_id: str = ""


SUMMED = (
    "ends", "answers", "shorts", "delay_ms", "talk_ms", "nanos", "early", "sided", "by_callee", "briefs", "brief_s", "brief_s2",
)  # fmt: skip
"""The sums of `detectors.sums` that a route decays."""


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
    share, squared = min(n / of, 1.0), Z * Z / of  # decayed sums round
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


class Difference(msgspec.Struct, frozen=True):
    """A share of the carrier's calls, the nearest that its interval allows to its peers', the peers', and a measure of the calls of both."""

    kind: str  # as a fraud: fas_early | fas_recorded | fas_late
    share: float
    bound: float
    peers_share: float
    measure: float  # seconds: to the answer, of a brief call, of talk
    peers_measure: float

    @property
    def score(self) -> float:
        return abs(self.share - self.peers_share)


def differences(route: Route, peers: Route) -> list[Difference]:
    """The kinds of false answer that a carrier's calls show.

    >>> honest = Route(ends=400, answers=180, delay_ms=180 * 14e3, talk_ms=180 * 9e4, early=4, sided=180, by_callee=80, briefs=40, brief_s=900,
    ...     brief_s2=30_000)
    >>> early = Route(ends=300, answers=140, delay_ms=140 * 3e3, early=110)
    >>> late = Route(ends=300, answers=140, delay_ms=140 * 14e3, talk_ms=140 * 105e3, early=3, sided=140, by_callee=12)
    >>> recorded = Route(ends=300, answers=260, delay_ms=260 * 9e3, early=9, sided=260, by_callee=60, briefs=160, brief_s=3_500, brief_s2=80_000)
    >>> [[one.kind for one in differences(route, honest)] for route in (early, late, recorded, honest)]
    [['fas_early'], ['fas_late'], ['fas_recorded'], []]
    """
    if min(route.ends, peers.ends) < LEAST_ENDS or min(route.answers, peers.answers) < LEAST_ENDS / 5:
        return []
    found = []
    delays = route.delay_ms / route.answers / 1000, peers.delay_ms / peers.answers / 1000
    low, high = interval(route.early, route.answers)[0], interval(peers.early, peers.answers)[1]
    if low > high + MORE_EARLY and delays[0] < SLOWER_DELAY * delays[1]:
        found.append(Difference("fas_early", route.early / route.answers, low, peers.early / peers.answers, *delays))
    if min(route.sided, peers.sided) < LEAST_ENDS / 5:
        return found
    answers_more = interval(route.answers, route.ends)[0] > interval(peers.answers, peers.ends)[1]
    low, high = interval(route.briefs, route.sided)[0], interval(peers.briefs, peers.sided)[1]
    if answers_more and low > high + MORE_BRIEF and _spread(route) < LESS_SPREAD * _spread(peers):
        lengths = route.brief_s / route.briefs, peers.brief_s / max(peers.briefs, 1.0)
        found.append(Difference("fas_recorded", route.briefs / route.sided, low, peers.briefs / peers.sided, *lengths))
    high, low = interval(route.by_callee, route.sided)[1], interval(peers.by_callee, peers.sided)[0]
    talks = route.talk_ms / route.answers / 1000, peers.talk_ms / peers.answers / 1000
    if not answers_more and low > LEAST_CALLEES and high < low - FEWER_CALLEES and talks[0] > talks[1]:
        found.append(Difference("fas_late", route.by_callee / route.sided, high, peers.by_callee / peers.sided, *talks))
    return found


def _spread(route: Route) -> float:
    """How much the lengths of brief calls differ: their deviation by their mean; infinite where there are none."""
    if route.briefs < 1:
        return math.inf
    mean = route.brief_s / route.briefs
    return math.sqrt(max(route.brief_s2 / route.briefs - mean * mean, 0.0)) / max(mean, 1e-9)


def detect(state: State, cut: pl.DataFrame, settings: Settings) -> tuple[list[Finding], list[BlockOrder]]:
    """Add one cut (in place), and report the routes whose answers differ from their peers'."""
    findings: list[Finding] = []
    rows = cut.filter(kind="route").sort("second_ms", "tenant", "subject", "currency", "call_id")
    touched: dict[tuple[str, str, str], int] = {}
    by = ("tenant", "subject", "second_ms", "currency", "learned_ms", "call_id", *SUMMED)
    for tenant, subject, t_ms, currency, learned_ms, call_id, *more in rows.select(by).iter_rows():
        zone, _, carrier = subject.partition("\x1f")
        routes = state.routes.setdefault(f"{tenant}\x1f{zone}", {})
        route = routes.setdefault(carrier, Route(t_ms=t_ms))
        fade = 2.0 ** (-max(0, t_ms - route.t_ms) / DAY_MS)
        for name, added in zip(SUMMED, more, strict=True):
            setattr(route, name, getattr(route, name) * fade + added)
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
        if min(mine.ends, sum(one.ends for one in others)) < LEAST_ENDS:  # nothing can be claimed: the other sums need not be added up
            continue
        peers = Route(**{name: sum(getattr(one, name) for one in others) for name in SUMMED})
        claimed: list[tuple[str, float, Facts]] = []
        if found := claim(mine, peers):
            claimed.append(("fas", found.asr / max(found.peers_asr, 0.01), facts_of(zone, carrier, mine, found)))
        claimed += [(one.kind, 1.0 + one.score, facts_of_difference(zone, carrier, mine, one)) for one in differences(mine, peers)]
        for kind, score, facts in claimed:
            if finding := _report(state, tenant, facts, kind, score, mine, t_ms, settings):
                findings.append(finding)
    return findings, []


def _report(state: State, tenant: str, facts: Facts, kind: str, score: float, route: Route, t_ms: int, settings: Settings) -> Finding | None:
    policy, zone, carrier = settings.policy_of(tenant), facts.b_range, facts.name
    own = () if kind == "fas" else (kind,)
    name = "\x1f".join((tenant, zone, carrier, *own))
    if alerts.is_recent(state.alerts, name, t_ms, score, policy):
        return None
    known = state.alerts.get(name)
    if known is not None and t_ms - known.last_ms <= DAY_MS:  # a claim about a day is one episode for as long as it is made each day
        known.last_ms = max(known.last_ms, t_ms)
        known.written_ms = t_ms
        alert = known
    else:
        alert = alerts.episode(state.alerts, name, t_ms, score, policy, (tenant, "fas", "route", zone, carrier, *own))
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


def facts_of_difference(zone: str, carrier: str, route: Route, found: Difference) -> Facts:
    """
    >>> route = Route(ends=300, answers=140, nanos=3e9, currency="EUR")
    >>> print(finding_text(facts_of_difference("2348", "alpha", route, Difference("fas_late", 0.086, 0.144, 0.444, 105.0, 90.0))))
    Carrier alpha, of 300 calls to +234 8… (Nigeria) in a day: the called side hung up 9 % of the answered ones (at most 14 %), and they lasted \
105 s; of the other carriers' 44 %, and 90 s. It looks like late disconnection: calls run on after the called person hung up. Not blocked: this \
kind of finding only warns.
    """
    to = prefix_destination(zone)
    measured = [round(value, 4) for value in (found.share, found.bound, found.peers_share, found.measure, found.peers_measure)]
    return Facts(
        subject_kind="route", name=carrier, b_range=zone, calls=round(route.ends), talk_ms=round(route.talk_ms), nanos=in_range(round(route.nanos)),
        currency=route.currency, code=to.code, country=to.country, country_name=to.name, fraud=found.kind, measured=measured, no_block="warns",
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
    rows = np.flatnonzero(usage["final"].to_numpy()).tolist()
    by = values_of(usage, ("carrier", "b_number"), rows)
    return texts(usage.height, rows, (f"{zone}\x1f{carrier}" if carrier and (zone := zone_of(number)) else "" for carrier, number in by))


DETECTOR = Spanning(
    name="fas",
    about="false answer supervision: a carrier answers calls to a destination more often, sooner or more briefly than the other carriers there",
    sums={"route": _route},
    fields=("carrier", "setup_ms", "answer_ms"),  # of two of its kinds also the release_side
    state=State,
    detect=detect,
    forget=forget,
)
