"""Moves what judge remembers when `calls` gains partitions, or when other judge processes share them.

An account's past (its averages, its calls in flight, its alerts) stands with its partition. State keeps each subject's home, the 31 bits
that decide the partition however many there are, so the past can be sent after the account. Only with everything stopped, in this order:

1. judge    what is in `calls` is judged to its end, by the old processes' states. A crash: nothing has moved
2. merge    all states as one file, `repartition.state`. From here on nothing starts until all is done: `check_states` refuses
3. grow     the topics. A crash: some have grown; doing it again grows the others
4. spread   the merged state over the new processes' files, then the old files go, then the merged one. A crash: done again from it
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.active import ActiveCall, Partition
from core.delivery import RING, Ring
from core.partition import home_of
from core.record import journal_key
from core.topics import CALLS, partitions_of
from detectors import state as detectors
from flows.snapshot import SnapshotError, freeze, of_judge, pack, previous_of, sealed
from flows.step import State
from journal import Journal
from journal.durable import replace_file, sync_directory
from rating.accrue import Accrued
from rating.charge import Purchases

MERGED = "repartition.state"
GLOB = "judge*.state"


@dataclass(frozen=True)
class Moved:
    """What a repartition did."""

    partitions: int
    judges: int
    active: int  # calls in progress
    subjects: int


def check_states(state_dir: Path, mine: Collection[Path]) -> None:
    """Refuse to start beside the states of other judge processes than those that the settings name."""
    if (state_dir / MERGED).exists():
        raise SnapshotError(
            f"{state_dir / MERGED} is there: a repartition was cut off. Run `ringfence repartition` again, which finishes it"
        )
    if others := sorted(path.name for path in state_dir.glob(GLOB) if path not in mine):
        raise SnapshotError(
            f"{state_dir} holds {', '.join(others)}: the state of other judge processes than the settings name. Set RINGFENCE_JUDGES as it "
            "was, or stop everything and run `ringfence repartition`, which moves the state"
        )


def partitions_of_judge(number: int, judges: int, partitions: int) -> tuple[int, ...]:
    """The share of judge process `number`, from 1.

    >>> partitions_of_judge(2, 3, 8)
    (1, 4, 7)
    """
    return tuple(range(number - 1, partitions, judges))


def repartition(
    journal: Journal,
    state_dir: Path,
    secret: bytes,
    partitions: int,
    old: Sequence[Path],
    new: Sequence[Path],
    drain: Callable[[int, int], None],
) -> Moved:
    """Do all of it. `old`, `new`: the state files that are and that are to be, one a process. `drain(number, partitions)`: judge to the end
    what old process `number`, from 1, has of so many partitions."""
    merged_file = state_dir / MERGED
    there = journal.partitions(CALLS)
    if partitions < there:
        raise SnapshotError(f"calls has {there} partitions; they can become more, never fewer: name --partitions {there} or more")
    if not merged_file.exists():
        check_states(state_dir, old)
        known = [state.partitions for path in old if (state := of_judge(path).load()) is not None and state.partitions]
        for number in range(1, len(old) + 1):
            drain(number, known[0] if known else there)
        states = [state for path in old if (state := of_judge(path).load()) is not None]
        ends = {p: journal.end_offset(CALLS, p) for p in range(there)}
        judged = {p: calls.next_offset for state in states for p, calls in state.calls.items()}
        if behind := sorted(p for p, end in ends.items() if end > judged.get(p, 0) and _any_left(journal, p, judged.get(p, 0))):
            raise SnapshotError(
                f"calls/{behind} has records that no state has judged: is a collector running? Stop everything, then again"
            )
        replace_file(merged_file, sealed(pack(freeze(merge(states, secret)))))
    merged = of_judge(merged_file).load()
    assert merged is not None
    for topic, number in partitions_of(partitions).items():
        if journal.partitions(topic) < number:
            journal.grow(topic, number)
    states = spread(merged, partitions, len(new))
    for path, state in zip(new, states, strict=True):
        previous_of(path).unlink(missing_ok=True)  # of before the move
        replace_file(path, sealed(pack(freeze(state))))
    for path in old:
        if path not in new:
            path.unlink(missing_ok=True)
            previous_of(path).unlink(missing_ok=True)
    merged_file.unlink()
    sync_directory(state_dir)
    active = sum(len(calls.active) for state in states for calls in state.calls.values())
    subjects = sum(len(columns) for state in states for columns in state.detectors.columns())
    return Moved(partitions, len(new), active, subjects)


def _any_left(journal: Journal, partition: int, judged_to: int) -> bool:
    """Whether there is anything to judge: offsets at the end may be lost, or removed."""
    reader = journal.reader(CALLS, partition, max(judged_to, journal.first_offset(CALLS, partition)))
    try:
        return bool(reader.read(1))
    finally:
        reader.close()


# --- the state, in memory ---


def merge(states: Sequence[State], secret: bytes) -> State:
    """The states of processes over disjoint partitions as one. `secret`: of a state where there is none yet."""
    whole = State(secret, partitions=max((state.partitions for state in states), default=0))
    for state in states:
        whole.calls |= state.calls
        whole.purchases |= state.purchases
        whole.accrued |= state.accrued
    whole.detectors = detectors.merge([state.detectors for state in states], secret)
    return whole


def spread(whole: State, partitions: int, judges: int) -> list[State]:
    """One state as those of so many processes over so many partitions."""
    calls = _calls(whole.calls, whole.partitions, partitions)
    # What pricing remembers of a call goes where the call goes.
    partition_of = {call.call_key: p for p, here in calls.items() for call in here.calls}
    purchases = {p: Purchases() for p in range(partitions)}
    accrued = {p: Accrued() for p in range(partitions)}
    for bought in whole.purchases.values():
        for key, known in bought.of.items():
            purchases[partition_of[key]].of[key] = known
    for reported in whole.accrued.values():
        for key, so_far in reported.of.items():
            accrued[partition_of[key]].of[key] = so_far
    states = []
    for number in range(1, judges + 1):
        mine = partitions_of_judge(number, judges, partitions)
        state = State(whole.detectors.secret, partitions=partitions)
        state.calls = {p: calls[p] for p in mine}
        state.purchases, state.accrued = {p: purchases[p] for p in mine}, {p: accrued[p] for p in mine}
        state.detectors = detectors.subset(whole.detectors, partitions, mine)
        states.append(state)
    return states


def _calls(old: Mapping[int, Partition], before: int, partitions: int) -> dict[int, Partition]:
    """Calls in progress go to the partition of their account. What was seen before (deliveries, ends, rows) is known in every one: a repeat
    may come in by the new partition of what came first by the old."""
    every = list(old.values())
    rings = _rings(every)
    calls = {p: Partition(p) for p in range(partitions)}
    for p, here in calls.items():
        known = old.get(p)
        if known is not None:
            here.next_offset, here.config_version, here.now_ms = known.next_offset, known.config_version, known.now_ms
        here.deliveries.rings = {
            boot: Ring(array("q", ring.seqs), array("q", ring.hashes), ring.top, dict(ring.ahead)) for boot, ring in rings.items()
        }
        here.deliveries.forgotten = {
            boot: max(c.deliveries.forgotten.get(boot, -1) for c in every) for c in every for boot in c.deliveries.forgotten
        }
        here.closed = dict(sorted(((key, end) for c in every for key, end in c.closed.items()), key=lambda item: item[1][1]))
        here.rows = dict(sorted(((row, at_ms) for c in every for row, at_ms in c.rows.items()), key=lambda item: item[1]))
    for c in every:
        for name in ("active", "hung", "lingering"):
            for key, call in getattr(c, name).items():
                getattr(calls[_place(call, c.partition, before, partitions)], name)[key] = call
    return calls


def _place(call: ActiveCall, partition: int, old: int, new: int) -> int:
    """Where the next record of a call will come in. A call whose records name other parties than it knows stays where it is."""
    home = home_of(journal_key(call.tenant, call.account, call.ingress_trunk))
    return home % new if home % old == partition else partition


def _rings(every: Sequence[Partition]) -> dict[str, Ring]:
    """One ring per boot: in each slot the highest number that any partition saw."""
    rings: dict[str, Ring] = {}
    for c in every:
        for boot, ring in c.deliveries.rings.items():
            known = rings.setdefault(boot, Ring(array("q", [-1]) * RING, array("q", [0]) * RING, ahead={}))
            seqs, hashes = np.frombuffer(known.seqs, np.int64).copy(), np.frombuffer(known.hashes, np.int64).copy()
            theirs = np.frombuffer(ring.seqs, np.int64)
            newer = theirs > seqs
            seqs[newer], hashes[newer] = theirs[newer], np.frombuffer(ring.hashes, np.int64)[newer]
            rings[boot] = Ring(array("q", seqs.tobytes()), array("q", hashes.tobytes()), max(known.top, ring.top), known.ahead | ring.ahead)
    return rings
