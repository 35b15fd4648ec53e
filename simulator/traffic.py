"""Streams of legitimate calls, by time: everyday traffic, and a new account that ramps up steeply.

Each stream has its own random generator, so that an attack beside it changes nothing in it.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from random import Random

from simulator.calls import LEGITIMATE, LOOK_ALIKE, REUSED_CALL_ID, Call, honest_call
from simulator.shape import busyness
from simulator.world import UTC_OFFSET_H, Subscriber, World

HOUR_MS = 3_600_000
_STEP_MS = 600_000
_THURSDAY = 3  # the weekday of 1 January 1970


def hour_of_week(at_ms: int, utc_offset_h: int = 0) -> float:
    """Hours since Monday, midnight.

    >>> hour_of_week(0), hour_of_week(0, 1)
    (72.0, 73.0)
    """
    return (at_ms / HOUR_MS + 24 * _THURSDAY + utc_offset_h) % 168


def _rates(everyone: list[Subscriber], at_ms: int) -> list[float]:
    return [one.weight * busyness(one.habit, hour_of_week(at_ms, UTC_OFFSET_H[one.region])) for one in everyone]


def legitimate(
    world: World, seed: int, start_ms: int, calls_per_s: float, mean_over_ms: int, end_ms: int | None = None
) -> Iterator[Call]:
    """The calls of the world's subscribers from `start_ms` on, shaped by their weeks; endless without `end_ms`.

    `calls_per_s` is the mean over the first `mean_over_ms` at any hour: a night has as many calls as a day, from other subscribers.
    """
    rng = Random(f"legitimate {seed}")
    everyone = world.subscribers
    steps = range(start_ms, start_ms + max(mean_over_ms, 1), _STEP_MS)
    scale = calls_per_s * len(steps) / sum(sum(_rates(everyone, at)) for at in steps)
    latest: dict[str, str] = {}
    step_ms = start_ms
    while end_ms is None or step_ms < end_ms:
        until = step_ms + _STEP_MS if end_ms is None else min(step_ms + _STEP_MS, end_ms)
        ladder = list(accumulate(_rates(everyone, step_ms)))
        rate_ms = ladder[-1] * scale / 1000
        at = step_ms + rng.expovariate(rate_ms)
        while at < until:
            one = everyone[bisect(ladder, rng.random() * ladder[-1])]
            yield _reuse(rng, latest, honest_call(rng, world, one, int(at), LEGITIMATE))
            at += rng.expovariate(rate_ms)
        step_ms = until


def _reuse(rng: Random, latest: dict[str, str], call: Call) -> Call:
    """Some devices use a Call-ID twice: another dialog, another tag, another call."""
    if call.account in latest and rng.random() < REUSED_CALL_ID:
        call.facts["call_id"], call.reused_call_id = latest[call.account], True
    latest[call.account] = call.facts["call_id"]
    return call


def ramp(
    world: World,
    seed: int,
    start_ms: int,
    calls_per_s: float,
    doubling_ms: int,
    end_ms: int | None = None,
) -> Iterator[Call]:
    """A new account that starts at 3 % of `calls_per_s` and doubles every `doubling_ms` until it reaches it.

    It is legitimate: the people of a new customer, with contacts, unanswered calls and the usual talk times. It also calls some expensive
    countries, where its people have family or business.
    """
    one = newcomer(world, seed)
    rng = Random(f"ramp {seed}")
    at = float(start_ms)
    while end_ms is None or at < end_ms:
        rate = calls_per_s * min(1.0, 0.03 * math.exp(math.log(2) * (at - start_ms) / doubling_ms))
        at += rng.expovariate(rate) * 1000
        if end_ms is None or at < end_ms:
            yield honest_call(rng, world, one, int(at), LOOK_ALIKE)


EXPENSIVE_SHARE = (0.04, 0.12)
"""The range of the share of the new account's contacts in countries with a buy price of 0.3 EUR per minute and more."""


def newcomer(world: World, seed: int) -> Subscriber:
    """The new account of `ramp`, with the expensive countries that it also calls."""
    one = next(iter(world.newcomers.values()))
    rng = Random(f"newcomer {seed}")
    share = rng.uniform(*EXPENSIVE_SHARE)
    ordinary = [(region, kind, weight) for region, kind, weight in one.partners if region not in EXPENSIVE]
    weight = sum(weight for *_, weight in ordinary) or 1.0
    abroad = max(one.abroad, 2.5 * share)
    expensive = weight * share / (abroad - share) / 2
    one.partners = [*ordinary, *((region, "mobile", expensive) for region in rng.sample(EXPENSIVE, 2))]
    one.abroad = abroad
    return one


EXPENSIVE = ("CU", "MV", "SO", "GM", "GN", "TD", "KM", "MG", "PG", "WS", "FJ", "ER", "TG", "SL")
