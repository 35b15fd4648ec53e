"""The dataflow `scores`: judged -> score -> scores.

It reads the route attempts that the judges wrote and writes how carriers do (`detectors.quality`). What it says follows from the set of
attempts alone, in whatever order and cut they come. It runs in the router's process, which gets each outcome when it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from bytewax.run import cli_main

from core import topics
from core.clock import wall_clock_ms
from core.message import Message
from core.reporting import Report, ignore
from core.scores import SCORES_KEY, Scores
from detectors.quality import Qualities, Stored, add, scores
from flows import live
from flows.batches import from_value
from flows.judge import opened
from flows.live import Names, Pace
from flows.missed import file_of, mark, open_reader
from flows.snapshot import SnapshotError, Snapshots
from journal import Entry, Journal, Reader

NAMES = Names("scores", "judged", "score", "journal")
READER = "scores"
"""Its name among the readers of `judged`."""
LAYOUT = 1
ATTEMPTS_KEY = b"attempts"
EVERY_MS = 1_000
"""Of event time: scores are computed at most so often."""


@dataclass(frozen=True)
class Settings:
    """`partitions` of `judged`."""

    partitions: int
    state_file: Path
    linger_ms: int = 200
    snapshot_ms: int = 10_000
    every_ms: int = 500
    until_idle: bool = False


class ScoresSnapshot(msgspec.Struct):
    """What a snapshot holds: where each partition is read on, and the sums up to there."""

    next_offset: dict[int, int] = {}
    qualities: Stored = msgspec.field(default_factory=Stored)


class State:
    """What the step remembers."""

    def __init__(self, partitions: int, kept: ScoresSnapshot) -> None:
        self.partitions, self.next_offset = partitions, dict(kept.next_offset)
        self.qualities = Qualities.of(kept.qualities)
        self.written_ms = 0


def score(state: State, messages: Sequence[Message], *, last: bool = False) -> Scores | None:
    """Count messages of `judged`; `state` is updated in place. Returns all scores where a second of event time is over."""
    for message in messages:
        if message.key == ATTEMPTS_KEY:
            add(state.qualities, message.partition, from_value(message.value))
        state.next_offset[message.partition] = message.offset + 1
    if not last and state.qualities.stored.latest_ms - state.written_ms < EVERY_MS:
        return None
    if state.qualities.stored.latest_ms == state.written_ms:
        return None
    state.written_ms = state.qualities.stored.latest_ms
    return scores(state.qualities)


def run(journal: Journal, settings: Settings, report: Report = ignore) -> None:
    """Score until stopped (or, with `until_idle`, until all is read). `report` is called after each batch, with the scores or None."""
    snapshots = of_scores(settings.state_file, partial(mark_all, journal))
    with ExitStack() as stack:
        stack.enter_context(snapshots.alone())
        state = State(settings.partitions, snapshots.load() or ScoresSnapshot())
        stack.callback(snapshots.wait)
        writer = opened(journal, topics.SCORES, (0,), stack)[0]

        def effects(found: Scores | None) -> None:
            # A crash before or behind it: the next scores replace these.
            if found is not None:
                writer.append([Entry(SCORES_KEY, msgspec.json.encode(found), wall_clock_ms())])
            report(found)

        ends = {p: journal.end_offset(topics.JUDGED, p) for p in range(settings.partitions)} if settings.until_idle else None
        pace = Pace(settings.linger_ms, settings.snapshot_ms, every_ms=settings.every_ms, ends=ends)
        opened_readers = partial(readers, journal, state, file_of(settings.state_file))
        cli_main(live.flow(NAMES, opened_readers, partial(score, state), lambda: freeze(state), effects, snapshots, pace))  # type: ignore[no-untyped-call]
        if settings.until_idle:
            effects(score(state, [], last=True))
            snapshots.publish(freeze(state))


def last_scores(journal: Journal) -> Scores | None:
    """The scores that were written last, for programs and people; None = none were written yet."""
    end = journal.end_offset(topics.SCORES, 0)
    if end <= journal.first_offset(topics.SCORES, 0):
        return None
    reader = journal.reader(topics.SCORES, 0, end - 1)
    try:
        found = reader.read(1)
    finally:
        reader.close()
    return msgspec.json.decode(found[-1].value, type=Scores) if found else None


def readers(journal: Journal, state: State, missed: Path) -> Mapping[int, Reader]:
    """At the first message that is not counted, or the oldest that there is: what cannot be read any more is written down in `missed`."""
    return {p: open_reader(journal, READER, topics.JUDGED, p, state.next_offset.get(p), missed) for p in range(state.partitions)}


def mark_all(journal: Journal, offsets: Mapping[int, int]) -> None:
    """Tell retention what no snapshot needs any more."""
    for partition, offset in offsets.items():
        mark(journal, READER, topics.JUDGED, partition, offset)


def freeze(state: State) -> bytes:
    """A copy of what a snapshot holds."""
    return msgspec.msgpack.encode((LAYOUT, ScoresSnapshot(state.next_offset, state.qualities.frozen())))


def thaw(data: bytes) -> ScoresSnapshot:
    """What `freeze` wrote."""
    layout, plain = msgspec.msgpack.decode(data, type=tuple[int, Any])
    if layout != LAYOUT:
        raise SnapshotError(f"the snapshot has layout {layout}, this release reads {LAYOUT}: start the release that wrote it, or a newer one")
    return msgspec.convert(plain, ScoresSnapshot, str_keys=True)


def of_scores(path: Path, durable: Callable[[Mapping[int, int]], None] | None = None) -> Snapshots[bytes, ScoresSnapshot]:
    """The files of the scores' state."""
    return Snapshots(path, bytes, thaw, lambda data: thaw(data).next_offset, durable)
