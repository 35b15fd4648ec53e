"""The dataflow `judge`: calls -> judge -> judged | sums | findings | block_orders.

`judge` writes to the journal and to nothing else, so a warehouse that is slow or down delays pages, never a block. Its state is not in
Bytewax's recovery store but in a file of its own with the offsets inside (`flows.snapshot`): the store would hold the stream for every write.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.run import cli_main

from core import topics
from core.decode import Message
from flows.batches import to_values
from flows.snapshot import Frozen, Snapshots, freeze
from flows.step import ContractsOf, Outcome, State, judge
from journal import Entry, Journal, Reader, Writer

FLOW_ID, INPUT_ID, STEP_ID, OUTPUT_ID = "judge", "calls", "judge", "journal"
"""Stored names: they change only with a migration."""

IDLE = timedelta(milliseconds=2)
MOST_MESSAGES = 16_384


@dataclass(frozen=True)
class Settings:
    """Of one judge process: the partitions it owns, where its state lives, how long it gathers a batch, how often it snapshots."""

    partitions: tuple[int, ...]
    state_file: Path
    secret: bytes
    linger_ms: int = 20
    snapshot_ms: int = 10_000
    dedupe: bool = True
    until_idle: bool = False  # stop when everything in the journal is judged: replays and tests


@dataclass(frozen=True)
class Judged:
    """An outcome on its way to the journal, and sometimes the state as it was after it."""

    outcome: Outcome
    frozen: Frozen | None


def flow(journal: Journal, state: State, snapshots: Snapshots, contracts_of: ContractsOf, writers: Writers, settings: Settings) -> Dataflow:
    """The dataflow, as a table of contents."""
    dataflow = Dataflow(FLOW_ID)
    batches = op.input(INPUT_ID, dataflow, Calls(journal, state, settings))
    outcomes = op.map(STEP_ID, batches, Step(state, snapshots, contracts_of, settings))
    keyed = op.key_on("one", outcomes, lambda _: OUTPUT_ID)
    op.output(OUTPUT_ID, keyed, Effects(writers, snapshots))
    return dataflow


def run(journal: Journal, contracts_of: ContractsOf, settings: Settings) -> None:
    """Judge until stopped (or, with `until_idle`, until all is judged)."""
    snapshots = Snapshots(settings.state_file)
    state = snapshots.load() or State(settings.secret)
    # State is many small objects that live for long and make no cycles: the collector's rounds over all of them are pauses for nothing.
    gc.set_threshold(100_000, 50, 100)
    with ExitStack() as stack:
        stack.callback(snapshots.wait)
        writers = Writers.open(journal, settings.partitions, stack)
        cli_main(flow(journal, state, snapshots, contracts_of, writers, settings))  # type: ignore[no-untyped-call]


class Step:
    """The stateful step: judge a batch, and copy the state when a snapshot is due and the last one is durable."""

    def __init__(self, state: State, snapshots: Snapshots, contracts_of: ContractsOf, settings: Settings) -> None:
        self.state, self.snapshots, self.contracts_of, self.settings = state, snapshots, contracts_of, settings
        self.taken_at = time.monotonic()

    def __call__(self, messages: Sequence[Message]) -> Judged:
        outcome = judge(self.state, messages, self.contracts_of, dedupe=self.settings.dedupe)
        due = (time.monotonic() - self.taken_at) * 1000 >= self.settings.snapshot_ms
        if not due or self.snapshots.busy():
            return Judged(outcome, None)
        self.taken_at = time.monotonic()
        return Judged(outcome, freeze(self.state))


class Calls(FixedPartitionedSource[list[Message], None]):
    """The partitions of this process as one stream of batches, from the offsets inside the state."""

    def __init__(self, journal: Journal, state: State, settings: Settings) -> None:
        self.journal, self.state, self.settings = journal, state, settings

    def list_parts(self) -> list[str]:
        return [INPUT_ID]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _CallsPart:
        return _CallsPart(self.journal, self.state, self.settings)


class _CallsPart(StatefulSourcePartition[list[Message], None]):
    def __init__(self, journal: Journal, state: State, settings: Settings) -> None:
        self.readers: dict[int, Reader] = {}
        for partition in settings.partitions:
            known = state.calls.get(partition)
            self.readers[partition] = journal.reader(topics.CALLS, partition, known.next_offset if known else 0)
        self.settings = settings
        self.wake: datetime | None = None
        self.last_at = 0.0

    def next_batch(self) -> list[list[Message]]:
        wait_s = self.settings.linger_ms / 1000 - (time.monotonic() - self.last_at)
        if wait_s > 0:
            self.wake = datetime.now(UTC) + timedelta(seconds=wait_s)
            return []
        share = MOST_MESSAGES // len(self.readers)
        batch = [
            Message(partition, m.offset, m.timestamp_ms, m.key, m.value)
            for partition, reader in self.readers.items()
            for m in reader.read(share)
        ]
        if not batch:
            if self.settings.until_idle:
                raise StopIteration
            self.wake = datetime.now(UTC) + IDLE
            return []
        self.last_at = time.monotonic()
        self.wake = None
        return [batch]

    def next_awake(self) -> datetime | None:
        return self.wake

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        for reader in self.readers.values():
            reader.close()


@dataclass(frozen=True)
class Writers:
    """What judge writes to. Whoever opens them closes them: an error in a sink's own `close` would abort the process (Bytewax 0.21)."""

    orders: Writer
    findings: Writer
    sums: Writer
    judged: dict[int, Writer]

    @classmethod
    def open(cls, journal: Journal, partitions: tuple[int, ...], stack: ExitStack) -> Writers:
        """The one writer of each topic and partition; closed with the stack."""

        def writer(topic: str, partition: int = 0) -> Writer:
            opened = journal.writer(topic, partition)
            stack.callback(opened.close)
            return opened

        judged = {partition: writer(topics.JUDGED, partition) for partition in partitions}
        return cls(writer(topics.BLOCK_ORDERS), writer(topics.FINDINGS), writer(topics.SUMS), judged)


class Effects(FixedPartitionedSink[Judged, None]):
    """Outcomes into the journal, in a written order."""

    def __init__(self, writers: Writers, snapshots: Snapshots) -> None:
        self.writers, self.snapshots = writers, snapshots

    def list_parts(self) -> list[str]:
        return [OUTPUT_ID]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _EffectsPart:
        return _EffectsPart(self.writers, self.snapshots)


class _EffectsPart(StatefulSinkPartition[Judged, None]):
    def __init__(self, writers: Writers, snapshots: Snapshots) -> None:
        self.writers, self.snapshots = writers, snapshots

    def write_batch(self, items: list[Judged]) -> None:
        for item in items:
            write(item.outcome, self.writers, round(time.time() * 1000))
            if item.frozen is not None:
                # 5. The state. A crash before: the batches since the last snapshot are judged again, to the same ids and rows.
                self.snapshots.publish(item.frozen)

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        pass


def write(outcome: Outcome, to: Writers, at_ms: int) -> None:
    """The effects of one outcome, the urgent first. Each append returns after its fsync."""
    encode = msgspec.json.encode
    # 1. Orders. A crash after them: they are issued again with the same ids, which the dispatcher knows.
    if outcome.orders:
        to.orders.append([Entry(order.key.text().encode(), encode(order), at_ms) for order in outcome.orders])
    # 2. Findings. A crash before: an order whose alert comes a moment later; the restart writes both again.
    if outcome.findings:
        to.findings.append([Entry(finding.subject.encode(), encode(finding), at_ms) for finding in outcome.findings])
    # 3. Rows, under the partition of their records. A crash before or between: the restart writes them again, and equal keys collapse.
    rows: dict[int, list[Entry]] = {}
    for key, frame in ((b"records", outcome.judged), (b"rated_calls", outcome.rated)):
        # A rated row travels with the record that ended its call.
        by = "partition" if key == b"records" else "record_partition"
        for (partition,), part in frame.partition_by(by, as_dict=True, maintain_order=True).items():
            rows.setdefault(int(str(partition)), []).extend(Entry(key, value, at_ms) for value in to_values(part))
    for partition, entries in rows.items():
        to.judged[partition].append(entries)
    # 4. Sums. A crash before: as for rows; their reader knows a repeat by its offsets.
    for value in to_values(outcome.sums):
        to.sums.append([Entry(b"sums", value, at_ms)])


