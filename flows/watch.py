"""The dataflow `watch`: sums -> watch -> findings | block_orders.

One process, also where there is one judge: it sees what spans partitions. It takes the epochs of all partitions cut by cut
(`detectors.sums`): the epochs that ended with the same tick of the collector, when every partition has come to it. A partition that has
written nothing for `PATIENCE_MS` is not waited for; what it writes when it is back is added then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl
from bytewax.run import cli_main

from core import topics
from core.clock import wall_clock_ms
from core.message import Message
from core.orders import BlockOrder, Finding
from core.reporting import Report, ignore
from detectors.protocol import Settings as DetectorSettings
from detectors.registry import spanning
from detectors.sums import BY, EPOCH, TICK
from flows import live
from flows.batches import from_value
from flows.judge import append, opened
from flows.live import Names, Pace
from flows.missed import file_of, mark, open_reader
from flows.snapshot import SnapshotError, Snapshots
from flows.step import TermsOf, settings_of
from journal import Entry, Journal, Reader, Writer

NAMES = Names("watch", "sums", "watch", "journal")
READER = "watch"
"""Its name among the readers of `sums`."""
LAYOUT = 1

PATIENCE_MS = 20_000
"""Four ticks: a judge that is killed and started again is back within them."""


@dataclass(frozen=True)
class Settings:
    """`partitions` of `calls`; its own partition of what it writes is the one after them."""

    partitions: int
    state_file: Path
    linger_ms: int = 20
    snapshot_ms: int = 10_000
    until_idle: bool = False


class Epoch(NamedTuple):
    """What a partition added between two ticks. `next_offset`: of the message of `sums` that ends it; it may begin the next one."""

    partition: int
    tick_offset: int
    tick_ms: int
    version: int
    next_offset: int
    rows: pl.DataFrame


class Stored(msgspec.Struct):
    """What a snapshot holds: where each partition is read on, and the last tick of it that is in the totals."""

    next_offset: dict[int, int] = {}
    ticks: dict[int, int] = {}
    detectors: dict[str, Any] = msgspec.field(default_factory=lambda: {one.name: one.state() for one in spanning()})


@dataclass
class State:
    """What a snapshot holds, and what waits for its cut: that is read again after a crash."""

    partitions: int
    stored: Stored = field(default_factory=Stored)
    begun: dict[int, dict[int, list[pl.DataFrame]]] = field(default_factory=dict)  # by partition and tick: rows of an epoch that is not whole
    waiting: dict[int, list[Epoch]] = field(default_factory=dict)
    read_ms: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a batch leads to."""

    findings: list[Finding]
    orders: list[BlockOrder]


def watch(state: State, messages: Sequence[Message], contracts_of: TermsOf, now_ms: int, *, last: bool = False) -> Outcome:
    """Take in messages of `sums` and judge the cuts that are whole; `state` is updated in place. `last`: nothing more will come."""
    outcome = Outcome([], [])
    for message in messages:
        state.read_ms[message.partition] = now_ms
        if message.key == EPOCH:
            _take(state, message)
    while cut := _next_cut(state, now_ms, last):
        settings = settings_of(contracts_of(cut[0].version))
        found = judge_cut(state.stored.detectors, pl.concat([epoch.rows for epoch in cut]), cut[0].tick_ms, settings)
        outcome.findings.extend(found.findings)
        outcome.orders.extend(found.orders)
        for epoch in cut:
            state.stored.ticks[epoch.partition] = epoch.tick_offset
            state.stored.next_offset[epoch.partition] = epoch.next_offset
    return outcome


def judge_cut(states: dict[str, Any], rows: pl.DataFrame, tick_ms: int, settings: DetectorSettings) -> Outcome:
    """Run the detectors that span partitions over one cut; `states`, by detector, is updated in place."""
    outcome = Outcome([], [])
    for detector in spanning():
        findings, orders = detector.detect(states[detector.name], rows, settings)
        off = {finding.finding_id for finding in findings if detector.name in settings.policy_of(finding.tenant).off}
        outcome.findings.extend(finding for finding in findings if finding.finding_id not in off)
        outcome.orders.extend(order for order in orders if order.finding_id not in off)
        detector.forget(states[detector.name], tick_ms)
    return outcome


def _take(state: State, message: Message) -> None:
    """Rows of a message to their epochs. An epoch that was written again is known by its tick.

    A judge that died has written half of an epoch, and the next one writes it whole. On Apache Kafka the other half may still come from the
    dead one, in between: so an epoch is complete when all its rows are there, whoever wrote them; the same row twice is one.
    """
    begun = state.begun.setdefault(message.partition, {})
    waiting = state.waiting.setdefault(message.partition, [])
    for part in from_value(message.value).partition_by("tick_offset", maintain_order=True):
        tick_offset, tick_ms, version, kind, calls = part.select("tick_offset", "tick_ms", "config_version", "kind", "calls").row(-1)
        known = waiting[-1].tick_offset if waiting else state.stored.ticks.get(message.partition, -1)
        if tick_offset <= known:
            continue
        begun.setdefault(tick_offset, []).append(part.filter(pl.col("kind") != TICK))
        if kind != TICK:
            continue
        rows = pl.concat(begun[tick_offset]).unique(BY, keep="last", maintain_order=True)
        if rows.height == calls:
            waiting.append(Epoch(message.partition, tick_offset, tick_ms, version, message.offset, rows))
            for old in [one for one in begun if one <= tick_offset]:
                del begun[old]


def _next_cut(state: State, now_ms: int, last: bool) -> list[Epoch]:
    """The epochs of the earliest tick, if no partition that is alive can still write an earlier one."""
    heads = {partition: waiting[0] for partition, waiting in state.waiting.items() if waiting}
    for partition in range(state.partitions):
        is_alive = now_ms - state.read_ms.setdefault(partition, now_ms) < PATIENCE_MS
        if partition not in heads and is_alive and not last:
            return []
    if not heads:
        return []
    tick_ms = min(epoch.tick_ms for epoch in heads.values())
    return [state.waiting[partition].pop(0) for partition, epoch in sorted(heads.items()) if epoch.tick_ms == tick_ms]


def run(journal: Journal, contracts_of: TermsOf, settings: Settings, report: Report = ignore) -> None:
    """Watch until stopped (or, with `until_idle`, until all is watched). `report` is called with each `Outcome`, when it is written."""
    snapshots = of_watch(settings.state_file, partial(mark_all, journal))
    with ExitStack() as stack:
        stack.enter_context(snapshots.alone())
        state = State(settings.partitions, snapshots.load() or Stored())
        stack.callback(snapshots.wait)
        mine = (settings.partitions,)
        orders, findings = (opened(journal, topic, mine, stack) for topic in (topics.BLOCK_ORDERS, topics.FINDINGS))

        def step(messages: Sequence[Message]) -> Outcome:
            return watch(state, messages, contracts_of, wall_clock_ms())

        def effects(outcome: Outcome) -> None:
            write(outcome, orders, findings, settings.partitions, wall_clock_ms())
            report(outcome)

        ends = {p: journal.end_offset(topics.SUMS, p) for p in range(settings.partitions)} if settings.until_idle else None
        pace = Pace(settings.linger_ms, settings.snapshot_ms, every_ms=1_000, ends=ends)
        opened_readers = partial(readers, journal, state, file_of(settings.state_file))
        cli_main(live.flow(NAMES, opened_readers, step, lambda: freeze(state), effects, snapshots, pace))  # type: ignore[no-untyped-call]
        if settings.until_idle:
            effects(watch(state, [], contracts_of, wall_clock_ms(), last=True))
            snapshots.publish(freeze(state))


def readers(journal: Journal, state: State, missed: Path) -> Mapping[int, Reader]:
    """At the first epoch that is not in the totals, or the oldest that there is: what cannot be read any more is written down in `missed`."""
    at = state.stored.next_offset
    return {p: open_reader(journal, READER, topics.SUMS, p, at.get(p), missed) for p in range(state.partitions)}


def mark_all(journal: Journal, offsets: Mapping[int, int]) -> None:
    """Tell retention what no snapshot needs any more."""
    for partition, offset in offsets.items():
        mark(journal, READER, topics.SUMS, partition, offset)


def write(outcome: Outcome, orders: Mapping[int, Writer], findings: Mapping[int, Writer], partition: int, at_ms: int) -> None:
    """The effects, the urgent first; a crash before the snapshot writes them again, with the same ids."""
    encode = msgspec.json.encode
    append(orders, [(partition, Entry(order.key.text().encode(), encode(order), at_ms)) for order in outcome.orders])
    append(findings, [(partition, Entry(one.subject.encode(), encode(one), at_ms)) for one in outcome.findings])


def freeze(state: State) -> bytes:
    """A copy of what a snapshot holds."""
    return msgspec.msgpack.encode((LAYOUT, state.stored))


def thaw(data: bytes) -> Stored:
    """What `freeze` wrote."""
    layout, plain = msgspec.msgpack.decode(data, type=tuple[int, Any])
    if layout != LAYOUT:
        raise SnapshotError(
            f"the snapshot has layout {layout}, this release reads {LAYOUT}: start the release that wrote it, or a newer one"
        )
    found = msgspec.convert(plain, Stored, str_keys=True)
    # A detector that the snapshot lacks begins empty.
    found.detectors = {one.name: msgspec.convert(found.detectors.get(one.name, {}), one.state, str_keys=True) for one in spanning()}
    return found


def of_watch(path: Path, durable: Callable[[Mapping[int, int]], None] | None = None) -> Snapshots[bytes, Stored]:
    """The files of watch's state."""
    return Snapshots(path, bytes, thaw, lambda data: thaw(data).next_offset, durable)
