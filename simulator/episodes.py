"""Traffic with every family of fraud and every look-alike: the honest calls of a town, labelled attacks at a natural rarity, and the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from core.config import Config
from core.money import to_decimal
from simulator.columns import generator
from simulator.day import START_MS
from simulator.honest import honest
from simulator.plan import Family, LookAlike, Plan, all_families, all_look_alikes
from simulator.prices import config, priced
from simulator.town import BUSINESS, SUBSCRIBER, TENANT_OF, TENANTS, Town, make_town
from simulator.truth import Episode, Subject

HOUR_MS = 3_600_000
QUIET_SHARE = 0.3
"""Of the time before the first attack: without a past nobody knows what is normal."""
SUBSCRIPTION = 30
"""Adjacent subscribers kept free for an attack that brings its own SIM cards."""


@dataclass(frozen=True)
class Traffic:
    """The calls by setup time (`simulator.columns.CALL` with a `call_id` and its money), and who did what."""

    seed: int
    start_ms: int
    end_ms: int
    config: Config
    frame: pl.DataFrame
    episodes: list[Episode]
    look_alikes: list[Subject]


def traffic(
    seed: int, n: int, days: float = 2.0, start_ms: int = START_MS, families: tuple[str, ...] = (), rounds: int = 1
) -> Traffic:
    """About `n` honest calls in so many days, and `rounds` episodes of each family (or of the named ones), at stealth levels in turn.

    There are as many look-alikes as ordinary business accounts. The same arguments give the same calls.

    >>> found = traffic(1, 3000, families=("irsf_burst",))
    >>> [one.family for one in found.episodes], found.frame["setup_ms"].is_sorted()
    (['irsf_burst'], True)
    """
    unknown = set(families) - {one.name for one in all_families()}
    if unknown:
        raise ValueError(f"no family {sorted(unknown)[0]!r}; there are {', '.join(one.name for one in all_families())}")
    town = make_town(seed, n, start_ms, days)
    rng = generator(seed, "plans")
    wanted = [one for one in all_families() if not families or one.name in families]
    free = _Free(rng, town)
    attacks = [(one, _attack(rng, town, free, one, (at + turn + seed) % 3, turn)) for turn in range(rounds) for at, one in enumerate(wanted)]
    likes = [(one, _look_alike(rng, town, free, one, turn)) for turn, one in _look_alikes(town, n)]
    everyday = honest(town, n)
    fresh = pl.Series([town.names[account] for account in sorted(free.fresh)])
    others = ~pl.col("account").is_in(fresh.implode())  # a card that was bought for an attack makes no other calls
    frames = [everyday.filter(others)]
    for family, plan in attacks:
        frames.append(family.make(generator(seed, plan.name), town, plan).with_columns(episode=pl.lit(plan.name)))
    for like, plan in likes:
        frames.append(like.make(generator(seed, plan.name), town, plan).filter(others).with_columns(look_alike=pl.lit(plan.name)))
    frame = pl.concat(frames).filter(pl.col("setup_ms") < town.end_ms).sort("setup_ms", maintain_order=True)
    prices = config(town)
    frame = priced(frame, prices).with_columns(call_id=pl.lit(f"{seed:x}-") + pl.int_range(pl.len(), dtype=pl.Int64).cast(pl.String))
    by_episode = frame.filter(pl.col("episode") != "").partition_by("episode", as_dict=True)
    return Traffic(
        seed, town.start_ms, town.end_ms, prices, frame,
        [_episode(town, family, plan, by_episode[(plan.name,)]) for family, plan in attacks if (plan.name,) in by_episode],
        [Subject(like.name, plan.name, _tenant(town, plan), town.names[plan.account], plan.start_ms, plan.end_ms) for like, plan in likes],
    )  # fmt: skip


class _Free:
    """Accounts that nothing else was planned for: an account is attacked once."""

    def __init__(self, rng: np.random.Generator, town: Town) -> None:
        self._rng, self._town = rng, town
        self._used: set[int] = set()
        self.fresh: set[int] = set()

    def take(self, habits: tuple[int, ...], fresh: bool) -> int:
        """One account of a habit drawn at random (the busier ones more often), or a fresh one: a newcomer, or SIM cards with adjacent numbers."""
        town = self._town
        habit = int(self._rng.choice(habits))
        every = town.accounts(habit)
        mine = np.array([one for one in every.tolist() if one not in self._used] or every.tolist())
        newcomers = mine[town.weight[mine] == 0]
        if fresh and habit == SUBSCRIBER:
            account = int(mine[self._rng.integers(0, max(len(mine) - SUBSCRIPTION, 1))])
            taken = range(account, min(account + SUBSCRIPTION, len(town.names)))
            self.fresh.update(taken)
        elif fresh and len(newcomers):
            account = int(newcomers[0])
            taken = range(account, account + 1)
        else:
            callers = mine[town.weight[mine] > 0] if len(newcomers) < len(mine) else every[town.weight[every] > 0]
            account = int(self._rng.choice(callers, p=town.weight[callers] / town.weight[callers].sum()))
            taken = range(account, account + 1)
        self._used.update(taken)
        return account


def _attack(rng: np.random.Generator, town: Town, free: _Free, family: Family, stealth: int, turn: int) -> Plan:
    account = free.take(family.habits, family.fresh)
    span = town.end_ms - town.start_ms
    earliest = town.start_ms + int(QUIET_SHARE * span)
    length = min(int(family.hours[stealth] * HOUR_MS), int((1 - QUIET_SHARE) * span) - HOUR_MS)
    begin = int(rng.integers(earliest, max(town.end_ms - length, earliest + 1)))
    if family.night:
        day = (begin + town.utc_offset_h(account) * HOUR_MS) // (24 * HOUR_MS)
        begin = int(day * 24 * HOUR_MS + (20 + rng.uniform(0, 5)) * HOUR_MS) - town.utc_offset_h(account) * HOUR_MS
        begin = begin if begin + length < town.end_ms else begin - 24 * HOUR_MS
    budget = family.budget_eur[stealth] * float(rng.lognormal(0, 0.3))
    return Plan(f"{family.name}-{stealth}-{turn}", account, begin, begin + length, stealth, budget)


def _look_alikes(town: Town, n: int) -> Iterator[tuple[int, LookAlike]]:
    """As many as half of the business accounts, so that every second busy subject is one; they make at most a sixth of the calls."""
    every = all_look_alikes()
    how_many = min(max(len(town.accounts(*BUSINESS)) // 2, len(every)), max(n // 1800, len(every)))
    for at in range(how_many):
        yield at // len(every), every[at % len(every)]


def _look_alike(rng: np.random.Generator, town: Town, free: _Free, like: LookAlike, turn: int) -> Plan:
    account = free.take(like.habits, like.fresh)
    days = max((town.end_ms - town.start_ms) // (24 * HOUR_MS), 1)
    midnight = town.start_ms - town.start_ms % (24 * HOUR_MS) + int(rng.integers(0, days)) * 24 * HOUR_MS
    begin = midnight + int((like.at_hour + rng.uniform(0, 2) - town.utc_offset_h(account)) * HOUR_MS)
    begin = max(begin, town.start_ms)
    return Plan(f"{like.name}-{turn}", account, begin, begin + int(like.hours * HOUR_MS))


def _tenant(town: Town, plan: Plan) -> str:
    return TENANTS[TENANT_OF[town.habit[plan.account]]]


def _episode(town: Town, family: Family, plan: Plan, calls: pl.DataFrame) -> Episode:
    answered = calls.filter(pl.col("talk_ms").is_not_null())
    return Episode(
        id=plan.name, family=family.name, stealth=plan.stealth, slow=family.slow, tenant=_tenant(town, plan), account=town.names[plan.account],
        accounts=sorted(calls["account"].unique().to_list())[:200],
        a_numbers=sorted(calls["a_number"].unique().to_list())[:200],
        carriers=sorted(calls["carrier"].unique().to_list()) if family.by_carrier else [],
        start_ms=calls["setup_ms"].min(), end_ms=calls["setup_ms"].max(), calls=calls.height, answered=answered.height,  # type: ignore[arg-type]
        loss=to_decimal(int(calls["loss_nanos"].sum())),
    )  # fmt: skip
