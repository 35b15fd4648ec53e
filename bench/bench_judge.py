"""Processor time of `judge` per stage, on a fixed mix: 38 fields, 8 decks of 30,000 prefixes, 200,000 subjects, 30 % answered, 1.3 attempts per call.

    python bench/bench_judge.py [RECORDS]

Prints records per second of the step alone (one process, no journal), each stage in microseconds per record, the resident memory, and the
pause of a snapshot (the copy in memory that records wait for), also with a million subjects. Beside it, batch by batch in the same run, the
same records without the detectors; what the detectors cost is compared in seconds of the processor, which others on the machine distort least.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from core import rows
from core.config import Caps, Range
from core.message import Message
from core.record import TICK_KEY, Tick, journal_key
from detectors import burst, engine, sums
from detectors.columns import Columns
from flows import step
from flows.judge import Written, standing
from flows.snapshot import freeze, pack
from journal import partition_for
from rating.contracts import compile_contracts
from rating.decks import read_deck
from ringfence.ops.telemetry.judge import Judge
from simulator.mix import TENANT, bench_config, bench_mix

PARTITIONS = 4
BATCH = 512
STAGES = ("decode", "number", "assemble", "charge", "accrue", "detect")
ROWS = ("judged", "calls", "attempts")


class Envelope(msgspec.Struct):
    """What the collector reads of a record to place it."""

    at_ms: int
    switch: str
    account: str = ""
    ingress_trunk: str = ""


def log_of(lines: list[bytes]) -> list[Message]:
    """The records as the collector would have placed them, with ticks."""
    read = msgspec.json.Decoder(Envelope).decode
    offsets, messages, next_tick_ms = [0] * PARTITIONS, list[Message](), 0
    for line in lines:
        record = read(line)
        if record.at_ms >= next_tick_ms:
            next_tick_ms = record.at_ms + 5000
            tick = Tick(at_ms=record.at_ms, config_version=1, complete_to_ms={record.switch: record.at_ms})
            for partition in range(PARTITIONS):
                messages.append(Message(partition, offsets[partition], record.at_ms, TICK_KEY, msgspec.json.encode(tick)))
                offsets[partition] += 1
        key = journal_key(TENANT, record.account, record.ingress_trunk)
        partition = partition_for(key, PARTITIONS)
        messages.append(Message(partition, offsets[partition], record.at_ms, key, line))
        offsets[partition] += 1
    return messages


def timed(spent: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        begin = time.perf_counter()
        result = function(*args, **kwargs)
        spent[name] += time.perf_counter() - begin  # type: ignore[assignment]
        return result

    return run


def snapshots_of_a_million() -> list[float]:
    """How long records wait for copies of a million subjects, one after the other, in seconds."""
    state, pauses = step.State(b"bench" * 4), list[float]()
    columns: Columns = state.detectors.subjects["burst"]["a_number"]
    columns.slots(range(1, 10**6 + 1))
    for _ in range(6):
        begin = time.perf_counter()
        frozen = freeze(state)
        pauses.append(time.perf_counter() - begin)
        pack(frozen)
    return pauses


def main(n_records: int) -> None:
    lines = bench_mix(n_records)
    config, decks = bench_config()
    caps = Caps(money_hour_nanos=10**15, concurrent_calls=10**6)
    carriers = tuple(msgspec.structs.replace(carrier, caps=caps) for carrier in config.carriers)
    ranges = tuple(Range(tenant=config.carriers[0].tenant, b_range=prefix, caps=caps) for prefix in ("882", "883", "23", "37", "53"))
    config = msgspec.structs.replace(config, version=1, carriers=carriers, ranges=ranges)
    contracts = compile_contracts(config, {name: read_deck(csv, name, "EUR") for name, csv in decks.items()})
    messages = log_of(lines)
    state, without = step.State(b"bench" * 4), step.State(b"bench" * 4)
    warm = 4 * BATCH
    step.judge(state, messages[:warm], lambda _: contracts)
    step.used(without, messages[:warm], contracts)
    spent: Counter[str] = Counter()
    for name in STAGES:
        setattr(step, name, timed(spent, name, getattr(step, name)))
    for name in ROWS:
        setattr(rows, name, timed(spent, f"{name} rows", getattr(rows, name)))
    sums.gather = timed(spent, "  gather", sums.gather)
    engine.features = timed(spent, "  features", engine.features)
    burst._level = timed(spent, "  decay", burst._level)
    burst._crowd = timed(spent, "  crowd", burst._crowd)
    report = timed(spent, "metrics", Judge("", Path("judge.state")).report)
    gc.collect()
    gc.freeze()
    judged, pauses, begin = 0, list[float](), time.perf_counter()
    other_s, with_s, without_s = 0.0, 0.0, 0.0
    for start in range(warm, len(messages), BATCH):
        batch = messages[start : start + BATCH]
        aside_s, began_s, spent_before = time.perf_counter(), time.process_time(), Counter(spent)
        step.used(without, batch, contracts)
        without_s += time.process_time() - began_s
        spent.clear()  # the stages below are those of the side with detectors
        spent.update(spent_before)
        other_s += time.perf_counter() - aside_s
        began_s = time.process_time()
        outcome = step.judge(state, batch, lambda _: contracts)
        with_s += time.process_time() - began_s
        judged += outcome.records.height
        report(Written(outcome, outcome.records["learned_ms"].max() + 40, standing(state)))  # type: ignore[operator]
        if start // BATCH % 10 == 0:
            at = time.perf_counter()
            frozen = freeze(state)
            pauses.append(time.perf_counter() - at)
    elapsed = time.perf_counter() - begin - sum(pauses) - other_s
    active = sum(len(calls.active) for calls in state.calls.values())
    print(f"records           {judged:,} of {len(lines[0])} bytes, in batches of {BATCH}; {active:,} active calls at the end")
    print(f"judge             {judged / elapsed:,.0f} records/s, one process")
    print(
        f"detectors         {with_s / judged * 1e6:.1f} us of processor per record with all of them, {without_s / judged * 1e6:.1f} without: "
        f"{with_s / without_s:.2f} times"
    )
    for name, seconds in spent.most_common():
        print(f"  {name:<16}{seconds / judged * 1e6:6.1f} us per record")
    print(f"snapshot pause    longest {max(pauses) * 1000:.0f} ms of {len(pauses)}; {len(pack(frozen)) / 1e6:.1f} MB on disk")
    first, *others = snapshots_of_a_million()
    print(f"  a million subjects: first {first * 1000:.0f} ms, then {max(others) * 1000:.0f} ms at most of {len(others)}")
    print(f"resident          {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 150_000)
