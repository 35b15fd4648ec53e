"""Some hours of traffic with their truth, made at once: for tests, for files, for trying a rule."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import NamedTuple

from core.record import Record
from simulator import attack as irsf
from simulator.calls import Call
from simulator.exchange import Exchange, RecordWriter, Written
from simulator.traffic import legitimate, newcomer, ramp
from simulator.truth import LookAlike, Truth, TruthRecorder, of_attack
from simulator.world import World, make_world

START_MS = 1_772_438_400_000
"""Monday, 2 March 2026, 08:00 UTC."""

HOUR_MS = 3_600_000


class Outage(NamedTuple):
    """A period in which no records of a switch arrive; afterwards they arrive all at once, in order."""

    switch: str
    start_ms: int
    end_ms: int


class Delivery(NamedTuple):
    """A record as it arrives.

    `learned_ms` never decreases. `complete_to_ms`: with this record the switch has delivered all its records up to then, by its clock.
    """

    learned_ms: int
    complete_to_ms: int
    record: Record


def attacked(seed: int) -> bool:
    """Whether the day of a seed has an attack: odd seeds do, even ones do not.

    >>> attacked(7), attacked(8)
    (True, False)
    """
    return seed % 2 == 1


def day(
    seed: int,
    hours: float = 3.0,
    calls_per_s: float = 0.35,
    start_ms: int = START_MS,
    attack: bool | None = None,
    world: World | None = None,
    outages: Iterable[Outage] | None = None,
    on_call: Callable[[Call], None] | None = None,
) -> tuple[Iterator[Delivery], Truth]:
    """The records of some hours, in the order of their arrival, and the truth about them.

    New calls begin for `hours`; calls that are active then run to their end. `attack` None = `attacked(seed)`, `world` None = that of the seed,
    `outages` None = at random. `on_call` is called with each call at its setup. The truth is complete after the last record.

    >>> records, truth = day(2, hours=0.1)
    >>> first = next(records).record
    >>> first.event, first.seq, truth.attack is None
    ('boot', 1, True)
    """
    rng = Random(f"day {seed}")
    end_ms = start_ms + int(hours * HOUR_MS)
    world = world or make_world(seed)
    ramp_ms = start_ms + int((end_ms - start_ms) * rng.uniform(0.1, 0.5))
    streams = [
        legitimate(world, seed, start_ms, calls_per_s, end_ms - start_ms, end_ms),
        ramp(world, seed, ramp_ms, min(0.25, 0.4 * calls_per_s), int(rng.uniform(4, 12) * 60_000), end_ms),
    ]
    one = newcomer(world, seed)
    truth = Truth(
        seed=seed, start_ms=start_ms, end_ms=end_ms, look_alike=LookAlike(tenant=one.tenant, account=one.name, start_ms=ramp_ms)
    )
    if attacked(seed) if attack is None else attack:
        plan = irsf.draw(world, seed, start_ms, end_ms)
        truth.attack = of_attack(plan)
        streams.append(irsf.burst(world, seed, plan))
    skews_ms = {switch: round(rng.gauss(0, 1500)) for switch in world.switches}
    calls = heapq.merge(*streams, key=lambda call: call.at_ms)
    exchange = Exchange(calls, skews_ms, cut=frozenset(world.switches[1:2]))
    if outages is None:
        outages = _outages(rng, world, start_ms, end_ms)
    restart = (rng.choice(world.switches), rng.randint(start_ms, end_ms)) if rng.random() < 0.25 else None
    return _deliver(exchange, world, truth, tuple(outages), restart, on_call), truth


def _outages(rng: Random, world: World, start_ms: int, end_ms: int) -> list[Outage]:
    if rng.random() < 0.5:
        return []
    begin = rng.randint(start_ms, end_ms)
    return [Outage(rng.choice(world.switches), begin, begin + int(rng.uniform(2, 10) * 60_000))]


REPEATED, SHUFFLED = 0.002, 0.01
"""Shares: records after which a batch is posted again, because its acknowledgement was lost; lines that two workers wrote in swapped order."""


def _deliver(
    exchange: Exchange, world: World, truth: Truth, outages: tuple[Outage, ...], restart: tuple[str, int] | None,
    on_call: Callable[[Call], None] | None,
) -> Iterator[Delivery]:  # fmt: skip
    start_ms = truth.start_ms
    recorder = TruthRecorder(truth, world)
    posts = {switch: _Shipper(switch, truth.seed, start_ms, exchange.skews_ms[switch], outages) for switch in world.switches}
    waiting: list[tuple[int, int, Delivery]] = []
    number = 0

    def take(fresh: list[Delivery]) -> None:
        nonlocal number
        for one in fresh:
            number += 1
            heapq.heappush(waiting, (one.learned_ms, number, one))

    def ready(up_to_ms: int) -> Iterator[Delivery]:
        while waiting and waiting[0][0] <= up_to_ms:
            truth.records += 1
            yield heapq.heappop(waiting)[2]

    for post in posts.values():
        take(post.boot(start_ms))
    for written in exchange.advance_all():
        if restart and written.at_ms >= restart[1]:
            take(posts[restart[0]].boot(restart[1]))
            restart = None
        if written.event in ("setup", "refused"):
            recorder.add(written.call)
            if on_call:
                on_call(written.call)
        take(posts[written.call.switch].write(written))
        yield from ready(written.at_ms)
    for post in posts.values():
        take(post.flush())
    yield from ready(2**62)
    counts = exchange.counts + sum((post.counts for post in posts.values()), Counter())
    truth.mess = dict(sorted(counts.items()))


class _Shipper:
    """The deliveries of one switch: a little late, in order, sometimes twice, after an outage much later."""

    def __init__(self, switch: str, seed: int, start_ms: int, skew_ms: int, outages: tuple[Outage, ...]) -> None:
        self._rng = Random(f"post {seed} {switch}")
        self._writer = RecordWriter(switch, "", skew_ms)
        self._outages = [one for one in outages if one.switch == switch]
        self._learned_ms = start_ms
        self._last_ms = start_ms
        self._held: tuple[int, Record] | None = None
        self._recent: list[Record] = []
        self.counts: Counter[str] = Counter()

    def boot(self, at_ms: int) -> list[Delivery]:
        """A start of the switch: a new boot id, and a new sequence."""
        fresh = self.flush()
        self._writer = RecordWriter(self._writer.switch, f"{at_ms // 1000}.{self._rng.randrange(10**6):06d}", self._writer.skew_ms)
        self.counts["boots"] += 1
        return [*fresh, *self._send(at_ms, self._writer.boot(at_ms))]

    def write(self, written: Written) -> list[Delivery]:
        """Write the next line; returns the deliveries that are due with it."""
        record = self._writer.write(written)
        if self._held is None and self._rng.random() < SHUFFLED:
            self._held = (written.at_ms, record)
            self.counts["lines out of order"] += 1
            return []
        held, self._held = self._held, None
        if held is None:
            return self._send(written.at_ms, record)
        # The later line is delivered first: with it the switch is complete only up to the earlier one.
        return self._send(written.at_ms, record, before_ms=held[0]) + self._send(written.at_ms, held[1])

    def flush(self) -> list[Delivery]:
        """The line that is still delayed."""
        held, self._held = self._held, None
        return self._send(self._last_ms, held[1]) if held else []

    def _send(self, at_ms: int, record: Record, before_ms: int | None = None) -> list[Delivery]:
        rng = self._rng
        learned_ms = max(self._learned_ms, at_ms + rng.randint(20, 400))
        for outage in self._outages:
            if outage.start_ms <= learned_ms < outage.end_ms:
                learned_ms = outage.end_ms
                self.counts["late, after an outage"] += 1
        self._learned_ms, self._last_ms = learned_ms, at_ms
        complete_to_ms = (at_ms if before_ms is None else before_ms) + self._writer.skew_ms - 1
        found = [Delivery(learned_ms, complete_to_ms, record)]
        self._recent = [*self._recent[-19:], record]
        if rng.random() < REPEATED:
            again = self._recent[-rng.randint(1, len(self._recent)) :]
            self.counts["delivered twice"] += len(again)
            found += [Delivery(learned_ms, complete_to_ms, one) for one in again]
        return found
