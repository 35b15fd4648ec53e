"""The dataflow `judge`: calls -> judge -> judged | sums | findings | block_orders.

`judge` writes to the journal and to nothing else, so a warehouse that is slow or down delays pages, never a block. Several may run, each
over partitions of its own, with a state of its own; none knows of the others.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from bytewax.run import cli_main

from core import topics
from core.clock import wall_clock_ms
from core.reporting import Report, ignore
from core.schemas import TABLES
from detectors.sums import EPOCH
from flows import live
from flows.batches import to_values
from flows.live import Names, Pace
from flows.missed import file_of, mark, open_reader
from flows.snapshot import Frozen, SnapshotError, freeze, of_judge
from flows.step import Outcome, State, TermsOf, judge
from journal import Entry, Journal, Reader, Writer

log = structlog.get_logger(__name__)

NAMES = Names("judge", "calls", "judge", "journal")
READER = "judge"
"""Its name among the readers of `calls`, however many processes share them."""


@dataclass(frozen=True)
class Settings:
    """Of one judge process: the partitions it owns, where its state lives, how long it gathers a batch, how often it snapshots."""

    partitions: tuple[int, ...]
    state_file: Path
    secret: bytes
    linger_ms: int = 20
    snapshot_ms: int = 10_000
    dedupe: bool = True
    calls_partitions: int = 0  # of all processes together; 0 = as many as the topic has
    until_idle: bool = False  # stop when the whole journal is judged: replays and tests


class JudgeProgress(NamedTuple):
    """Where judge stands after a batch. `ticks_ms`: the time of the last tick, by partition."""

    in_flight: int
    config_version: int
    ticks_ms: dict[int, int]


class Written(NamedTuple):
    """What is reported of a batch, when all its effects are in the journal."""

    outcome: Outcome
    at_ms: int
    standing: JudgeProgress


class Copied(NamedTuple):
    """What is reported of a snapshot: how long records waited for it."""

    seconds: float


def run(journal: Journal, contracts_of: TermsOf, settings: Settings, report: Report = ignore) -> None:
    """Judge until stopped (or, with `until_idle`, until all is judged). `report` is called with each `Written` and `Copied`."""
    # State is many small objects that live for long and make no cycles: the collector's rounds over all of them are pauses for nothing.
    gc.set_threshold(100_000, 50, 100)
    snapshots = of_judge(settings.state_file, partial(mark_all, journal))
    with ExitStack() as stack:
        stack.enter_context(snapshots.alone())
        state = snapshots.load() or State(settings.secret)
        settle(state, settings.calls_partitions or journal.partitions(topics.CALLS), settings)
        stack.callback(snapshots.wait)
        ends = {p: journal.end_offset(topics.CALLS, p) for p in settings.partitions} if settings.until_idle else None
        writers = Writers.open(journal, settings.partitions, stack)

        def effects(outcome: Outcome) -> None:
            write(outcome, writers, wall_clock_ms())
            for one in outcome.dropped:
                log.warning("more subjects came than there is room for: those of the accounts with most were dropped", **one._asdict())
            report(Written(outcome, wall_clock_ms(), standing(state)))

        def copied() -> Frozen:
            began_s = time.monotonic()
            frozen = freeze(state)
            report(Copied(time.monotonic() - began_s))
            return frozen

        flow = live.flow(
            NAMES,
            partial(readers, journal, state, settings.partitions, file_of(settings.state_file)),
            lambda messages: judge(state, messages, contracts_of, dedupe=settings.dedupe),
            copied,
            effects,
            snapshots,
            Pace(settings.linger_ms, settings.snapshot_ms, ends=ends),
        )
        cli_main(flow)  # type: ignore[no-untyped-call]
        if settings.until_idle:
            snapshots.publish(freeze(state))


def standing(state: State) -> JudgeProgress:
    """Of all its partitions."""
    held = list(state.calls.values())
    return JudgeProgress(
        sum(len(calls.active) for calls in held),
        min((calls.config_version for calls in held), default=0),
        {calls.partition: calls.now_ms for calls in held if calls.now_ms},
    )


def settle(state: State, partitions: int, settings: Settings) -> None:
    """Check that a state belongs to these partitions: accounts that moved to another one would have left their past behind."""
    remedy = "Stop everything and run `ringfence repartition`, which moves the state"
    if state.partitions and state.partitions != partitions:
        raise SnapshotError(
            f"calls has {partitions} partitions, and the state in {settings.state_file} was made over {state.partitions}: "
            f"accounts would be parted from their past. {remedy}"
        )
    if strangers := sorted(set(state.calls) - set(settings.partitions)):
        raise SnapshotError(
            f"the state in {settings.state_file} is that of partitions {strangers} too, which this process does not judge. {remedy}"
        )
    state.partitions = partitions


def readers(journal: Journal, state: State, partitions: tuple[int, ...], missed: Path) -> Mapping[int, Reader]:
    """At the offsets inside the state, or where the journal begins; what cannot be read any more is written down in `missed`."""
    at = {partition: known.next_offset for partition, known in state.calls.items()}
    return {p: open_reader(journal, READER, topics.CALLS, p, at.get(p), missed) for p in partitions}


def mark_all(journal: Journal, offsets: Mapping[int, int]) -> None:
    """Tells retention what no snapshot needs any more."""
    for partition, offset in offsets.items():
        mark(journal, READER, topics.CALLS, partition, offset)


@dataclass(frozen=True)
class Writers:
    """What judge writes to, by partition: the one that the record came from."""

    orders: dict[int, Writer]
    findings: dict[int, Writer]
    sums: dict[int, Writer]
    judged: dict[int, Writer]

    @classmethod
    def open(cls, journal: Journal, partitions: tuple[int, ...], stack: ExitStack) -> Writers:
        """The one writer of each topic and partition; closed with the stack."""
        found = []
        for topic in (topics.BLOCK_ORDERS, topics.FINDINGS, topics.SUMS, topics.JUDGED):
            found.append(opened(journal, topic, partitions, stack))
        return cls(*found)


def opened(journal: Journal, topic: str, partitions: tuple[int, ...], stack: ExitStack) -> dict[int, Writer]:
    """Writers by partition, closed with the stack."""
    writers = {}
    for partition in partitions:
        writers[partition] = journal.writer(topic, partition)
        stack.callback(writers[partition].close)
    return writers


def write(outcome: Outcome, to: Writers, at_ms: int) -> None:
    """The effects of one outcome, the urgent first. Each append returns after its fsync."""
    encode = msgspec.json.encode
    # 1. Orders. A crash after them: they are issued again with the same ids, which the dispatcher knows.
    place = outcome.places
    append(to.orders, [(place[o.finding_id], Entry(o.key.text().encode(), encode(o), at_ms)) for o in outcome.orders])
    # 2. Findings. A crash before: an order whose alert comes a moment later; the restart writes both again.
    append(to.findings, [(place[f.finding_id], Entry(f.subject.encode(), encode(f), at_ms)) for f in outcome.findings])
    # 3. Rows, under the partition of their records. A crash before or between: the restart writes them again, and equal keys collapse.
    rows = []
    for table in reversed(TABLES):  # `records` last: who finds a record's row stored finds its charges too (warehouse.owed.unposted)
        frame = outcome.table(table)
        # A row of a call travels with the record that led to it.
        by = "record_partition" if "record_partition" in frame.columns else "partition"
        for (partition,), part in frame.partition_by(by, as_dict=True, maintain_order=True).items():
            rows += [(int(str(partition)), Entry(table.encode(), value, at_ms)) for value in to_values(part)]
    append(to.judged, rows)
    # 4. Sums. A crash before: as for rows; their reader knows a repeat by its tick.
    parts = outcome.sums.partition_by("partition", as_dict=True, maintain_order=True)
    append(to.sums, [(int(str(p)), Entry(EPOCH, value, at_ms)) for (p,), part in parts.items() for value in to_values(part)])


def append(writers: Mapping[int, Writer], entries: list[tuple[int, Entry]]) -> None:
    """Entries to the writers of their partitions, one append each."""
    by: dict[int, list[Entry]] = {}
    for partition, entry in entries:
        by.setdefault(partition, []).append(entry)
    for partition, mine in by.items():
        writers[partition].append(mine)
