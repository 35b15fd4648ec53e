"""Traffic in real time, through a switch's block table into the switch's spool; as busy in the first second as later."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import msgspec

from simulator import attack
from simulator.day import attacked
from simulator.exchange import Exchange, RecordWriter, Written
from simulator.traffic import legitimate, newcomer, ramp
from simulator.truth import LookAlike, Truth, TruthRecorder, of_attack
from simulator.world import World, make_world

if TYPE_CHECKING:
    from switches.loopback import Loopback

SWITCH = "sim1"
WARM_UP_MS = 600_000
"""How long the traffic has been running when the clock starts: the calls that are active then are written first."""

STEP_S = 0.05
"""Between two writes."""

ATTACK_AFTER_S = (15.0, 40.0)
"""When a seed begins its attack, unless `attack_after_s` is set."""


@dataclass
class Progress:
    """The progress of a run, updated by its loop; may be read at any time."""

    truth: Truth
    calls: int = 0
    active: int = 0
    refused: int = 0
    written: int = 0  # records, repeats among them
    ended: bool = False


def live_world(seed: int, tenants: tuple[str, ...] = ("demo",)) -> World:
    """The world of a live run, with one switch. The books must have its config and decks before the first record."""
    return make_world(seed, tenants=tenants, switches=(SWITCH,))


def run(
    write: Callable[[Sequence[bytes]], None],
    switch: Loopback,
    seed: int,
    calls_per_s: float,
    clock: Callable[[], int],
    attack_after_s: float | None = None,
    *,
    stop: threading.Event | None = None,
    for_s: float | None = None,
    boot_id: str = "",
    world: World | None = None,
    wait: Callable[[float], object] | None = None,
    repeat_batch: float = 0.002,
    on_progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Make traffic until `stop` is set (or for `for_s`), then end the active calls.

    `write` is called every `STEP_S` with lines, one record each: `simulator.spool.Spool.write`. The attack begins `attack_after_s` after the
    start; None = at random, if `attacked(seed)`. `repeat_batch`: the probability that lines are written twice. `clock` is epoch milliseconds;
    `wait` sleeps and may be replaced together with it.
    """
    stop = stop or threading.Event()
    wait = wait or stop.wait
    world = world or live_world(seed)
    rng = Random(f"live {seed}")
    start_ms = clock()
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
    if attack_after_s is not None or attacked(seed):
        plan = attack.draw_loud(world, seed, start_ms + int(after_s * 1000))
        truth.attack = of_attack(plan)
        streams.append(attack.burst(world, seed, plan))
    exchange = Exchange(heapq.merge(*streams, key=lambda call: call.at_ms), dict.fromkeys(world.switches, skew_ms))
    recorder = TruthRecorder(truth, world)
    writer = RecordWriter(SWITCH, boot_id or f"{start_ms // 1000}.{start_ms % 1000:03d}000", skew_ms)
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
        wait(STEP_S)
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
