"""Everyday calls as columns: who calls whom, shaped by days and weeks, a million in a few seconds."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.callers import presented, radio, who
from simulator.columns import Array, Ints, calls, generator, hashed, share
from simulator.outcomes import carriers, conversation_ms, outcomes, picks
from simulator.shape import busyness
from simulator.town import (
    ABROAD,
    CALLCENTRE,
    CIRCLE,
    FAITHFUL,
    HABITS,
    HOME,
    MEDIAN_S,
    PARTNERS,
    REGIONS,
    SUBSCRIBER,
    UTC_OFFSET_H,
    Town,
)
from simulator.traffic import hour_of_week

HOUR_MS = 3_600_000
ODD = 0.002
"""The share of contacts that are premium, shared-cost or satellite numbers: a vote, a hotline, a ship."""
ON_NET = 0.4
"""The share of calls to a mobile of the own country that go to the operator's own subscribers."""


def honest(town: Town, n: int) -> pl.DataFrame:
    """`n` everyday calls, by time.

    >>> from simulator.town import make_town
    >>> frame = honest(make_town(1, 5000, 0, 1), 5000)
    >>> frame.height, frame["tenant"].n_unique()
    (5000, 3)
    """
    rng = generator(town.seed, "honest")
    account, setup_ms = _when(rng, town, n)
    caller = town.first[account] + (town.size[account] * rng.random(n) ** 1.5).astype(np.int64)
    place, b_number = contacts(rng, town, account, caller)
    carrier = carriers(rng, place)
    habit = town.habit[account]
    answers = town.places.answered[place] * np.where(habit == CALLCENTRE, 0.6, 1.0)
    talk = conversation_ms(rng, n, np.array(MEDIAN_S)[habit] * np.exp(0.3 * (share(hashed(account, 4)) - 0.5)))
    columns = who(town, account, town.number[caller])
    columns["a_number"] = presented(rng, town, account, columns["a_number"])
    columns["attestation"] = attestation(rng, town, account)
    return calls(
        n, setup_ms=setup_ms, b_number=b_number, **columns, **outcomes(rng, answers, talk, carrier), **radio(rng, town, account)
    ).sort("setup_ms")


def attestation(rng: np.random.Generator, town: Town, account: Array) -> pl.Series:
    """STIR/SHAKEN levels of accounts in the United States, "" elsewhere."""
    level = np.where(town.region[account] == REGIONS.index("US"), rng.choice(3, len(account), p=(0.7, 0.2, 0.1)) + 1, 0)
    return pl.Series(["", "A", "B", "C"]).gather(pl.Series(level.astype(np.uint32)))


def _when(rng: np.random.Generator, town: Town, n: int) -> tuple[Ints, Ints]:
    """Accounts and times. An hour of a habit and time zone is drawn by how busy it is, then an account of it by weight."""
    hours = np.arange(town.start_ms, town.end_ms, HOUR_MS)
    groups = [(habit, region) for habit in range(len(HABITS)) for region in range(len(REGIONS))]
    rates, ladders, members = [], [], []
    for habit, region in groups:
        mine = np.flatnonzero((town.habit == habit) & (town.region == region))
        name = "home" if habit == SUBSCRIBER else HABITS[habit]
        shape = np.array([busyness(name, hour_of_week(int(at), UTC_OFFSET_H[region])) for at in hours])
        mean = np.mean([busyness(name, hour) for hour in range(168)])
        rates.append(town.weight[mine].sum() * shape / mean)
        ladders.append(np.cumsum(town.weight[mine]))
        members.append(mine)
    table = np.array(rates)
    counts = rng.multinomial(n, (table / table.sum()).ravel()).reshape(table.shape)
    account = np.zeros(n, np.int64)
    at = 0
    for group, mine in enumerate(members):
        many = int(counts[group].sum())
        if many:
            ladder = ladders[group]
            account[at : at + many] = mine[np.searchsorted(ladder, rng.random(many) * ladder[-1]).clip(0, len(mine) - 1)]
        at += many
    start = np.repeat(np.tile(hours, len(groups)), counts.ravel())
    return account, start + rng.integers(0, HOUR_MS, n)


def contacts(rng: np.random.Generator, town: Town, account: Array, caller: Array) -> tuple[Ints, Ints]:
    """Destination and number that each caller dials: mostly one of his circle, which is a hash of the caller and a slot."""
    n = len(account)
    habit = town.habit[account]
    faithful = rng.random(n) < np.array(FAITHFUL)[habit]
    slot = picks(rng.integers(0, 2**63, n).astype(np.uint64), 1000) * np.array(CIRCLE)[habit] // 1000
    slot = np.where(faithful, slot, rng.integers(10_000, 2**40, n))
    bits = hashed(caller, slot, town.seed)
    kind = share(hashed(bits, 1))
    return _contact(town, account, bits, kind)


def _contact(town: Town, account: Array, bits: Array, kind: Array) -> tuple[Ints, Ints]:
    where, habit = town.places, town.habit[account]
    region = town.region[account]
    abroad = ODD + np.array(ABROAD)[habit] * (0.5 + share(hashed(account, 11)))
    home = {one: np.array([where.of[name, one] for name in REGIONS])[region] for one in ("fixed", "mobile", "tollfree", "shared", "premium")}
    partner = town.partners[account, picks(hashed(bits, 2), 1000) * np.array(PARTNERS)[habit] // 1000]
    satellite = np.array([place for (_, one), place in where.of.items() if one == "satellite"])
    draw = share(hashed(bits, 3))
    odd = np.select([draw < 0.3, draw < 0.65], [satellite[(bits % np.uint64(len(satellite))).astype(np.int64)], home["premium"]], home["shared"])
    domestic = np.select([draw < 0.47, draw < 0.96], [home["fixed"], home["mobile"]], home["tollfree"])
    place = np.where(kind < ODD, odd, np.where(kind < abroad, partner, domestic))
    number = where.numbers(place, hashed(bits, 4))
    own = town.subscribers[(hashed(bits, 6) % np.uint64(len(town.subscribers))).astype(np.int64)]
    on_net = (place == where.of["AT", "mobile"]) & (share(hashed(bits, 5)) < ON_NET) & (np.isin(habit, (SUBSCRIBER, HOME)) | (draw < 0.7))
    return place, np.where(on_net, own, number)
