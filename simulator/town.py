"""The town: the accounts, callers and carriers of three kinds of operators, as columns.

- tenant `retail`: an internet telephony provider: offices, homes, call centres and call shops;
- tenant `wholesale`: a carrier's carrier: a few accounts with thousands of callers each;
- tenant `mobile`: a mobile operator: one account per subscriber, with IMSI, IMEI and cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simulator.columns import Array, Floats, Ints, generator, hashed
from simulator.countries import COUNTRIES
from simulator.places import Places, places

HABITS = ("office", "home", "callcentre", "callshop", "wholesale", "subscriber")
OFFICE, HOME, CALLCENTRE, CALLSHOP, WHOLESALE, SUBSCRIBER = range(6)
TENANTS = ("retail", "wholesale", "mobile")
TENANT_OF = np.array([0, 0, 0, 0, 1, 2])  # of a habit
BUSINESS = (OFFICE, CALLCENTRE, CALLSHOP, WHOLESALE)
NEWCOMERS = (OFFICE, WHOLESALE)
"""Habits with some accounts that make no everyday calls (their weight is 0): they are there for new customers."""

SHARES = (0.26, 0.07, 0.04, 0.02, 0.31, 0.30)
"""Of all calls, by habit."""

CALLS_PER_DAY = (70.0, 2.5, 600.0, 90.0, 4000.0, 5.0)
"""Of one account, by habit: offices and homes as small providers see them, a subscriber's outgoing calls as in published mobile data."""

CALLERS = ((4, 60), (1, 2), (1, 4), (1, 4), (2000, 9000), (1, 1))
ABROAD = (0.12, 0.08, 0.03, 0.85, 0.75, 0.05)
FAITHFUL = (0.82, 0.9, 0.02, 0.4, 0.7, 0.85)
"""The share of calls to one of a caller's contacts, by habit; the others are to numbers that are called once."""
CIRCLE = (16, 10, 60, 50, 6, 14)
PARTNERS = (10, 8, 6, 6, 60, 6)
MEDIAN_S = (75.0, 110.0, 40.0, 170.0, 75.0, 60.0)
DIASPORAS = (
    "TR", "RS", "BA", "RO", "PL", "SY", "AF", "NG", "PK", "IN", "BD", "PH", "MA", "EG", "UA", "RU", "CN", "VN", "GH", "SO", "ET", "ER", "IQ",
    "IR", "LB", "TN", "DZ", "CU", "DO", "MX", "CO", "BR", "PE", "JM", "KE", "ZW", "XK", "AL", "MK", "LK", "SN", "GM",
)  # fmt: skip
"""Where migrants' calls go (the larger corridors of the World Bank's bilateral migration matrix)."""
REGIONS = ("AT", "DE", "GB", "US")
UTC_OFFSET_H = (1, 1, 0, -5)

CARRIERS = ("alpha", "bravo", "charlie", "delta", "echo")
CARRIER_ANSWERS = np.array([1.0, 0.97, 0.9, 1.02, 0.82])
CARRIER_PDD_MS = np.array([1100.0, 1500.0, 2400.0, 900.0, 3400.0])
"""The quality of a carrier: how many calls are answered, relative to the best, and the median post-dial delay."""


@dataclass(frozen=True)
class Town:
    """Columns by account and by caller. Callers of an account are adjacent: `first[a]` to `first[a] + size[a]`."""

    seed: int
    start_ms: int
    end_ms: int
    names: tuple[str, ...]
    habit: Ints
    region: Ints  # place in REGIONS
    weight: Floats
    first: Ints
    size: Ints
    number: Ints  # of each caller
    places: Places
    partners: Ints  # (accounts, 60): destinations abroad, the favourite first

    @cached_property
    def subscribers(self) -> Ints:
        """The numbers of the mobile operator's subscribers."""
        found: Ints = self.number[self.first[self.habit == SUBSCRIBER]]
        return found

    def accounts(self, *habits: int) -> Ints:
        """The accounts of some habits."""
        return np.flatnonzero(np.isin(self.habit, habits))

    def callers(self, account: int) -> Ints:
        """The numbers of an account's callers."""
        return self.number[self.first[account] : self.first[account] + self.size[account]]

    def utc_offset_h(self, account: int) -> int:
        """Of the account's country, in winter."""
        return UTC_OFFSET_H[int(self.region[account])]


def make_town(seed: int, calls: int, start_ms: int, days: float) -> Town:
    """The town of a seed, as large as so many calls in so many days need.

    >>> town = make_town(1, 20_000, 0, 2)
    >>> int((town.weight[town.accounts(WHOLESALE)] > 0).sum()), len(town.subscribers) > 500
    (16, True)
    """
    rng = generator(seed, "town")
    counts = [
        max(int(calls * part / days / per_day) + 1, 16 if habit in BUSINESS else 40)
        for habit, (part, per_day) in enumerate(zip(SHARES, CALLS_PER_DAY, strict=True))
    ]
    reserve = 2 + sum(counts[one] for one in BUSINESS) // 36
    ordinary = [np.arange(count + (reserve if habit in NEWCOMERS else 0)) < count for habit, count in enumerate(counts)]
    habit, calls_at_all = np.repeat(np.arange(len(HABITS)), [len(one) for one in ordinary]), np.concatenate(ordinary)
    n = len(habit)
    weight = rng.lognormal(0, np.where(habit == SUBSCRIBER, 0.9, 0.6)) * calls_at_all
    for kind, part in enumerate(SHARES):  # the weights of a habit add up to its share
        mine = habit == kind
        weight[mine] *= part / weight[mine].sum()
    region = rng.choice(len(REGIONS), n, p=(0.5, 0.25, 0.15, 0.1))
    region[habit == SUBSCRIBER] = 0
    low, high = np.array(CALLERS).T
    size = rng.integers(low[habit], high[habit] + 1)
    if calls < 500_000:  # a small town's wholesale accounts have fewer callers, or none would call twice
        size[habit == WHOLESALE] //= 5
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    where = places()
    return Town(
        seed, start_ms, start_ms + int(days * 86_400_000), _names(habit), habit, region, weight, first, size,
        _numbers(rng, where, habit, region, size), where, _partners(seed, where, habit),
    )  # fmt: skip


def _names(habit: Ints) -> tuple[str, ...]:
    """Names never reveal what an account does."""
    letters = np.array(["r", "w", "m"])[TENANT_OF[habit]]
    return tuple(f"{letter}{number:06d}" for letter, number in zip(letters.tolist(), range(100_000, 100_000 + len(habit)), strict=True))


def _numbers(rng: np.random.Generator, where: Places, habit: Ints, region: Ints, size: Ints) -> Ints:
    """Offices have a block of extensions, a carrier's customers mobiles of several countries, everyone else a line of his own."""
    account = np.repeat(np.arange(len(habit)), size)
    mobiles = np.array([where.of[one, "mobile"] for one in (*REGIONS, "IT", "CH", "FR", "TR", "RO", "PL")])
    fixed = np.array([where.of[one, "fixed"] for one in REGIONS])
    kind = habit[account]
    place = np.where(kind == WHOLESALE, mobiles[rng.integers(0, len(mobiles), len(account))], fixed[region[account]])
    place = np.where(kind == SUBSCRIBER, mobiles[0], place)
    number = where.numbers(place, hashed(rng.integers(0, 2**62, len(account))))
    block = np.repeat(number[np.cumsum(size) - size], size) // 1000 * 1000
    within = np.arange(len(account)) - np.repeat(np.cumsum(size) - size, size)
    found: Ints = np.where(np.isin(kind, (OFFICE, CALLCENTRE, CALLSHOP)), block + 10 + within, number)
    return found


def _partners(seed: int, where: Places, habit: Ints) -> Ints:
    """Where an account calls abroad: mostly near and cheap; a call shop's and a carrier's customers far away as well."""
    rng = generator(seed, "partners")
    abroad = np.array([where.of[one, kind] for one in COUNTRIES for kind in ("fixed", "mobile")])
    near = np.array([COUNTRIES[where.regions[one]].fixed < 0.03 for one in abroad])
    popular = rng.lognormal(0, 1.2, len(abroad)) * np.where(near, 1.0, 0.06)
    is_home = np.isin([where.regions[one] for one in abroad], DIASPORAS)
    far = rng.lognormal(0, 1.2, len(abroad)) * np.where(is_home, 10.0, np.where(near, 0.5, 0.1))
    ladders = np.cumsum([popular / popular.sum(), far / far.sum()], axis=1)
    draws = rng.random((len(habit), max(PARTNERS)))
    is_far = np.isin(habit, (CALLSHOP,))[:, None] | (np.isin(habit, (WHOLESALE,))[:, None] & (draws < 0.4))
    picked = np.where(
        is_far, np.searchsorted(ladders[1], rng.random(draws.shape)), np.searchsorted(ladders[0], rng.random(draws.shape))
    )
    found: Ints = abroad[np.minimum(picked, len(abroad) - 1)]
    return found


def identity(town: Town, account: Array, seed: int) -> dict[str, Array]:
    """IMSI and IMEI of a subscriber's phone, his home cell and a second one, as numbers. A phone is replaced about once in two years."""
    bits = hashed(account, seed, 77)
    tac = np.array([35209900, 35332811, 35845607, 86471204, 35674108, 35912510, 86073105])
    return {
        "imsi": 232_010_000_000_000 + account,
        "imei": tac[(bits % np.uint64(7)).astype(np.int64)] * 10**7 + (bits >> np.uint64(20)).astype(np.int64) % 10**7,
        "home": (bits >> np.uint64(40)).astype(np.int64) % max(len(town.subscribers) // 40, 12),
        "work": (bits >> np.uint64(30)).astype(np.int64) % max(len(town.subscribers) // 40, 12),
    }
