"""Traffic in real time, through a switch's block table into the switch's spool; as busy in the first second as later."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

import msgspec

from simulator import attack as irsf
from simulator.day import attacked
from simulator.exchange import Exchange, RecordWriter, Written
from simulator.traffic import legitimate, newcomer, ramp
from simulator.truth import LookAlike, Truth, TruthRecorder, of_attack
from simulator.world import World, make_world

SWITCH = "sim1"
WARM_UP_MS = 600_000
"""How long the traffic has been running when the clock starts: the calls that are active then are written first."""

ATTACK_AFTER_S = (15.0, 40.0)
"""When a seed begins its attack, unless `attack_after_s` is set."""


class Verdict(Protocol):
    """The decision on an INVITE; `order_id` as in its record ("shadow:<id>" if it only would have been refused)."""

    @property
    def refused(self) -> bool: ...
    @property
    def order_id(self) -> str: ...


class BlockTable(Protocol):
    """The look-up of a switch for an INVITE, protected numbers first: `switches.loopback.Loopback` is one."""

    def verdict(self, tenant: str, account: str, trunk: str, a_number: str, b_number: str) -> Verdict: ...


@dataclass
class Progress:
    """The progress of a run, updated by its loop; may be read at any time."""

    truth: Truth
    calls: int = 0
    active: int = 0
    refused: int = 0
    written: int = 0  # records, repeats among them
    ended: bool = False


def live_world(seed: int, tenants: tuple[str, ...] = ("demo",), switch: str = SWITCH) -> World:
    """The world of a live run, with one switch. The books must have its config and decks before the first record."""
    return make_world(seed, tenants=tenants, switches=(switch,))


def run(
    write: Callable[[Sequence[bytes]], None],
    switch: BlockTable,
    seed: int,
    calls_per_s: float,
    clock: Callable[[], int],
    attack_after_s: float | None = None,
    *,
    attack: bool | None = None,
    invites_per_s: float = 1.5,
    stop: threading.Event | None = None,
    for_s: float | None = None,
    name: str = SWITCH,
    boot_id: str = "",
    world: World | None = None,
    step_s: float = 0.05,
    wait: Callable[[float], object] | None = None,
    repeat_batch: float = 0.002,
    on_progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Make traffic until `stop` is set (or for `for_s`), then end the active calls.

    `write` is called every `step_s` with lines, one record each: `simulator.spool.Spool.write`. `attack` None = as `attacked(seed)`, or True
    where `attack_after_s` is set: the attack begins so long after the start. `repeat_batch`: the probability that lines are written twice.
    `clock` is epoch milliseconds; `wait` sleeps and may be replaced together with it.
    """
    stop = stop or threading.Event()
    wait = wait or stop.wait
    world = world or live_world(seed, switch=name)
    rng = Random(f"live {seed}")
    start_ms = clock()
    if attack is None:
        attack = attack_after_s is not None or attacked(seed)
    after_s = attack_after_s if attack_after_s is not None else rng.uniform(*ATTACK_AFTER_S)
    skew_ms = rng.randint(-150, 150)

    one = newcomer(world, seed)
    ramp_ms = start_ms + rng.randint(5_000, 15_000)
    truth = Truth(
        seed=seed, start_ms=start_ms, end_ms=start_ms, look_alike=LookAlike(tenant=one.tenant, account=one.name, start_ms=ramp_ms)
    )
    streams = [
        legitimate(world, seed, start_ms - WARM_UP_MS, calls_per_s, WARM_UP_MS * 2),
        ramp(world, seed, ramp_ms, min(0.5, 0.15 * calls_per_s), 6_000),
    ]
    if attack:
        plan = irsf.draw_loud(world, seed, start_ms + int(after_s * 1000), invites_per_s)
        truth.attack = of_attack(plan)
        streams.append(irsf.burst(world, seed, plan))
    exchange = Exchange(heapq.merge(*streams, key=lambda call: call.at_ms), dict.fromkeys(world.switches, skew_ms))
    recorder = TruthRecorder(truth, world)
    writer = RecordWriter(name, boot_id or f"{start_ms // 1000}.{start_ms % 1000:03d}000", skew_ms)
    progress = Progress(truth)

    def lines(written: Iterable[Written]) -> list[bytes]:
        found = []
        for each in written:
            if each.event in ("setup", "refused"):
                recorder.add(each.call)
            found.append(msgspec.json.encode(writer.write(each)))
        truth.records += len(found)
        return found

    def put(fresh: list[bytes]) -> None:
        write(fresh)
        progress.written += len(fresh)

    def report() -> None:
        progress.calls, progress.refused = exchange.counts["calls"], exchange.counts["refused"]
        progress.active = len(exchange.active)
        if on_progress:
            on_progress(progress)

    # The past: only calls that are still active are written, so that every stop has its start.
    past = list(exchange.advance(start_ms))
    exchange.counts.clear()
    exchange.look_up = lambda *invite: switch.verdict(*invite).order_id
    put([msgspec.json.encode(writer.boot(start_ms - WARM_UP_MS))])
    put(lines(each for each in past if each.call in exchange.active))
    while not stop.is_set() and (for_s is None or clock() < start_ms + for_s * 1000):
        fresh = lines(exchange.advance(clock()))
        put(fresh)
        if fresh and rng.random() < repeat_batch:  # as if the acknowledgement had been lost
            put(fresh)
        report()
        wait(step_s)
    now_ms = clock()
    fresh = lines(exchange.advance(now_ms))
    for call in exchange.active:
        recorder.cut_short(call, now_ms)
    fresh += lines(exchange.hang_up(now_ms))
    truth.end_ms, truth.mess = now_ms, dict(sorted(exchange.counts.items()))
    put(fresh)
    progress.ended = True
    report()
    return progress
