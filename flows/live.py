"""What the flows that judge have in common: batches of several partitions in, a step with state, effects in a written order, snapshots.

    batches -> step -> effects

State is not in Bytewax's recovery store but in a file of its own with the offsets inside (`flows.snapshot`): the store would hold the
stream for every write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from core.message import Message
from flows.snapshot import Snapshots
from journal import Reader

IDLE = timedelta(milliseconds=2)
MOST_MESSAGES = 16_384

Outcome = TypeVar("Outcome")


class Names(NamedTuple):
    """Stored names of a flow and its steps: they change only with a migration."""

    flow: str
    input: str
    step: str
    output: str


class Pace(NamedTuple):
    """`linger_ms`: how long a batch is gathered. `every_ms`: an empty batch after so much silence, for a step that looks at the clock;
    0 = none. `ends`: stop when every partition has come to its offset there; None = never."""

    linger_ms: int
    snapshot_ms: int
    every_ms: int = 0
    ends: Mapping[int, int] | None = None


def flow(
    names: Names,
    readers: Callable[[], Mapping[int, Reader]],
    step: Callable[[Sequence[Message]], Outcome],
    freeze: Callable[[], Any],
    write: Callable[[Outcome], None],
    snapshots: Snapshots[Any, Any],
    pace: Pace,
) -> Dataflow:
    """The table of contents."""
    dataflow = Dataflow(names.flow)
    batches = op.input(names.input, dataflow, Batches(names.input, readers, pace))
    outcomes = op.map(names.step, batches, Remembering(step, freeze, snapshots, pace.snapshot_ms))
    keyed = op.key_on("one", outcomes, lambda _: names.output)
    op.output(names.output, keyed, Effects(names.output, write, snapshots))
    return dataflow


class Emitted(NamedTuple, Generic[Outcome]):
    """An outcome on its way to the journal, and sometimes the state as it was after it."""

    outcome: Outcome
    frozen: Any


class Remembering(Generic[Outcome]):
    """A step, and a copy of its state when a snapshot is due and the last one is durable."""

    def __init__(
        self, step: Callable[[Sequence[Message]], Outcome], freeze: Callable[[], Any], snapshots: Snapshots[Any, Any], snapshot_ms: int
    ) -> None:
        self.step, self.freeze, self.snapshots, self.snapshot_ms = step, freeze, snapshots, snapshot_ms
        self.taken_at = time.monotonic()

    def __call__(self, messages: Sequence[Message]) -> Emitted[Outcome]:
        outcome = self.step(messages)
        due = (time.monotonic() - self.taken_at) * 1000 >= self.snapshot_ms
        if not due or self.snapshots.busy():
            return Emitted(outcome, None)
        self.taken_at = time.monotonic()
        return Emitted(outcome, self.freeze())


class Batches(FixedPartitionedSource[list[Message], None]):
    """Partitions of a topic as one stream of batches. `readers` are opened at the offsets inside the state."""

    def __init__(self, name: str, readers: Callable[[], Mapping[int, Reader]], pace: Pace) -> None:
        self.name, self.readers, self.pace = name, readers, pace

    def list_parts(self) -> list[str]:
        return [self.name]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Batches:
        return _Batches(self.readers(), self.pace)


class _Batches(StatefulSourcePartition[list[Message], None]):
    def __init__(self, readers: Mapping[int, Reader], pace: Pace) -> None:
        self.readers, self.pace = readers, pace
        self.wake: datetime | None = None
        self.last_at = time.monotonic()

    def next_batch(self) -> list[list[Message]]:
        now = time.monotonic()
        wait_s = self.pace.linger_ms / 1000 - (now - self.last_at)
        if wait_s > 0:
            self.wake = datetime.now(UTC) + timedelta(seconds=wait_s)
            return []
        share = MOST_MESSAGES // len(self.readers)
        batch = [message for reader in self.readers.values() for message in reader.read(share)]
        if not batch:
            if self.ended():
                raise StopIteration
            if not self.pace.every_ms or (now - self.last_at) * 1000 < self.pace.every_ms:
                self.wake = datetime.now(UTC) + IDLE
                return []
        self.last_at = time.monotonic()
        self.wake = None
        return [batch]

    def ended(self) -> bool:
        ends = self.pace.ends
        return ends is not None and all(reader.offset >= ends[partition] for partition, reader in self.readers.items())

    def next_awake(self) -> datetime | None:
        return self.wake

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        for reader in self.readers.values():
            reader.close()


class Effects(FixedPartitionedSink[Emitted[Any], None]):
    """Outcomes into the journal, in the order in which `write` has them; then the state."""

    def __init__(self, name: str, write: Callable[[Any], None], snapshots: Snapshots[Any, Any]) -> None:
        self.name, self.write, self.snapshots = name, write, snapshots

    def list_parts(self) -> list[str]:
        return [self.name]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Effects:
        return _Effects(self.write, self.snapshots)


class _Effects(StatefulSinkPartition[Emitted[Any], None]):
    def __init__(self, write: Callable[[Any], None], snapshots: Snapshots[Any, Any]) -> None:
        self.write, self.snapshots = write, snapshots

    def write_batch(self, items: list[Emitted[Any]]) -> None:
        for item in items:
            self.write(item.outcome)
            if item.frozen is not None:
                # Last, the state. A crash before: the batches since the last snapshot are judged again, to the same ids and rows.
                self.snapshots.publish(item.frozen)

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        """Nothing: an error in a sink's own `close` would abort the process (Bytewax 0.21). Whoever opens the writers closes them."""
