"""The labelled attack: an IRSF burst. An attacker uses an account to call expensive ranges and gets a share of the termination fee.

Every parameter is drawn from a wide range: attacks are fast and loud, or slow and quiet. Attack calls use the same carriers and have the same
faults as legitimate calls; a record differs only in what an attack needs: expensive calls, many or long.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from simulator import destinations
from simulator.calls import ATTACK, Call, add_faults, plan
from simulator.countries import COUNTRIES
from simulator.world import Caller, Contact, Subscriber, World

PREMIUM_MIN_EUR = 1.0
"""The lowest buy price of a minute for premium numbers in an attack: cheaper ones do not pay."""

INVITES_PER_S = 1.5
"""Of a loud attack."""

SATELLITE = ("8707", "8703", "8816", "8817", "8818", "8819", "88216", "88213", "88232", "88299", "883120")
EXOTIC = tuple(region for region, one in COUNTRIES.items() if one.mobile >= 0.5)


@dataclass(frozen=True)
class Plan:
    """The plan of an attack. `lines` concurrent calls, started over `build_up_ms`; each line redials when its call ends."""

    subscriber: Subscriber
    callers: tuple[Caller, ...]
    ranges: tuple[str, ...]
    targets: tuple[Contact, ...]
    start_ms: int
    end_ms: int
    lines: int
    build_up_ms: int
    median_talk_s: float
    answered: float
    ip: str  # "" = through the account's own PBX
    user_agent: str


def log_uniform(rng: Random, low: float, high: float) -> float:
    """A random value between two limits, uniform in its logarithm.

    >>> 3 <= log_uniform(Random(1), 3, 60) <= 60
    True
    """
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def draw(world: World, seed: int, start_ms: int, end_ms: int) -> Plan:
    """The attack of a seed within a time window."""
    rng = Random(f"attack {seed}")
    one = rng.choice(world.subscribers)
    window = end_ms - start_ms
    begin = start_ms + int(window * rng.uniform(0.15, 0.6))
    length = int(log_uniform(rng, 20, 150) * 60_000)
    ranges, targets = _targets(rng, how_many=rng.choices((1, 2, 3, 4), (3, 3, 2, 1))[0], expensive=False)
    stolen = one.auth == "digest" and rng.random() < 0.5
    return Plan(
        subscriber=one,
        callers=_callers(rng, one),
        ranges=ranges,
        targets=targets,
        start_ms=begin,
        end_ms=min(begin + length, end_ms),
        lines=round(log_uniform(rng, 2, 60)),
        build_up_ms=int(log_uniform(rng, 10, 900) * 1000),
        median_talk_s=log_uniform(rng, 90, 1200),
        answered=rng.uniform(0.75, 0.98),
        ip=f"203.0.113.{rng.randint(2, 250)}" if stolen else "",
        user_agent=rng.choice(("", "PolycomSoundPointIP", "eyeBeam release 1102")) if stolen else "",
    )


def draw_loud(world: World, seed: int, start_ms: int) -> Plan:
    """An attack for a demonstration: parallel calls to the most expensive ranges, `INVITES_PER_S` from its first second on."""
    rng = Random(f"attack {seed}")
    one = rng.choice([one for one in world.subscribers if one.habit != "wholesale"])
    ranges, targets = _targets(rng, how_many=rng.choice((2, 3)), expensive=True)
    lines = 240
    return Plan(
        subscriber=one, callers=_callers(rng, one), ranges=ranges, targets=targets,
        start_ms=start_ms, end_ms=start_ms + 1_800_000,
        lines=lines, build_up_ms=int(lines / INVITES_PER_S * 1000), median_talk_s=rng.uniform(150, 400), answered=0.95,
        ip="", user_agent="",
    )  # fmt: skip


def _callers(rng: Random, one: Subscriber) -> tuple[Caller, ...]:
    """One a_number, a few, or all of the account."""
    most = len(one.callers)
    how_many = rng.choices((1, min(rng.randint(2, 6), most), most), (6, 3, 1))[0]
    return tuple(rng.sample(one.callers, how_many))


def _targets(rng: Random, how_many: int, expensive: bool) -> tuple[tuple[str, ...], tuple[Contact, ...]]:
    """Ranges and the target numbers in them. The first range is premium or satellite, the others may be mobiles of an exotic country."""
    least = 1.8 if expensive else PREMIUM_MIN_EUR
    premium = [one for one in destinations.table() if one.kind == "premium" and one.cost >= least and one.region]
    ranges: list[str] = []
    targets: list[Contact] = []
    for no in range(how_many):
        draw = rng.random()
        if no and draw < 0.35 and not expensive:
            region = rng.choice(EXOTIC)
            example, kind = destinations.number(region, "mobile", rng), "mobile"
        elif draw < 0.7:
            region = rng.choice(sorted({one.region for one in premium}))
            example, kind = destinations.number(region, "premium", rng), "premium"
        else:
            region, kind = "", "satellite"
            example = destinations.beyond(rng.choice(SATELLITE[:9] if expensive else SATELLITE), rng)
        open_digits = rng.choice((2, 3, 3, 4))
        block = example[:-open_digits]
        if block in ranges:
            continue
        ranges.append(block)
        ends = rng.sample(range(10**open_digits), rng.randint(2, 12))
        targets += [Contact(block + f"{end:0{open_digits}d}", region, kind) for end in ends]
    return tuple(ranges), tuple(targets)


def burst(world: World, seed: int, attack: Plan) -> Iterator[Call]:
    """The calls of an attack, by time."""
    rng = Random(f"burst {seed}")
    free = [(attack.start_ms + int(attack.build_up_ms * line / attack.lines), line) for line in range(attack.lines)]
    heapq.heapify(free)
    while free:
        at_ms, line = heapq.heappop(free)
        if at_ms >= attack.end_ms:
            continue
        talk = int(1000 * min(rng.lognormvariate(math.log(attack.median_talk_s), 0.5), 3600))
        caller, target = rng.choice(attack.callers), rng.choice(attack.targets)
        call = add_faults(rng, plan(
            rng, world, attack.subscriber, caller, target, at_ms,
            why=ATTACK, answered=attack.answered, talk=talk, ip=attack.ip, user_agent=attack.user_agent,
        ))  # fmt: skip
        yield call
        busy = (call.talk_ms or 0) + call.ring_ms + sum(one.pdd_ms for one in call.attempts)
        heapq.heappush(free, (at_ms + busy + rng.randint(500, 8000), line))
