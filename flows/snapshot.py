"""The state of judge and watch on disk: copied in memory, written behind, published when durable.

A snapshot holds the offsets that it was taken at, so state and offsets cannot part. The file is replaced whole (write beside, fsync, rename):
a crash at any moment leaves the last published one. The layout is a stored format: `LAYOUT` changes with a migration.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
import polars as pl

from core.flight import Calls, Flight, Ring
from detectors.columns import Columns
from detectors.policy import Alert
from detectors.recent import Recent
from detectors.unpriced import Dialled
from flows.batches import from_value, to_value
from flows.step import State
from flows.sums import together
from journal.durable import replace_file

LAYOUT = 2
"""1 = before what spans partitions went to `watch`, and before a subject knew its home; read still, never written."""

Kept = TypeVar("Kept")
Held = TypeVar("Held")


class SnapshotError(RuntimeError):
    """The state cannot be read or written: names the file and what to do."""


class _CallsImage(msgspec.Struct):
    partition: int
    next_offset: int
    config_version: int
    now_ms: int
    latest_ms: int
    complete_to_ms: dict[str, int]
    flights: dict[str, Flight]
    hung: dict[str, Flight]
    closed: dict[str, tuple[int, int, str, bool]]
    rows: dict[int, int]
    rings: dict[str, tuple[bytes, bytes, int]]
    forgotten: dict[str, int] = {}


class _Image(msgspec.Struct):
    layout: int
    secret: bytes
    calls: list[bytes]  # _CallsImage, encoded
    alerts: dict[str, Alert]
    recent: dict[int, list[tuple[str, int]]]
    columns: dict[str, dict[str, tuple[str, bytes]]]  # "burst/account" -> column -> dtype, bytes
    gathered: bytes = b""  # flows.sums.ADDED, an Arrow stream
    partitions: int = 0
    dialled: dict[int, list[str]] = {}


@dataclass(frozen=True)
class Frozen:
    """A copy of the state that nobody changes any more."""

    secret: bytes
    calls: list[bytes]
    alerts: bytes
    recent: bytes
    columns: dict[str, dict[str, Any]]
    gathered: list[pl.DataFrame]
    partitions: int
    dialled: bytes


def freeze(state: State) -> Frozen:
    """Copy the state in memory: the only pause that a record waits for."""
    encode = msgspec.msgpack.encode
    calls = [
        encode(
            _CallsImage(
                c.partition, c.next_offset, c.config_version, c.now_ms, c.latest_ms, c.complete_to_ms, c.flights, c.hung, c.closed, c.rows,
                {boot: (ring.seqs.tobytes(), ring.hashes.tobytes(), ring.top) for boot, ring in c.rings.items()}, c.forgotten,
            )
        )
        for c in state.calls.values()
    ]  # fmt: skip
    columns = {f"burst/{level}": held.copy() for level, held in state.burst.items()}
    columns |= {f"caps/{watched}": held.copy() for watched, held in state.caps.items()}
    alerts, recent, dialled = encode(state.alerts), encode(state.recent), encode(state.dialled)
    return Frozen(state.secret, calls, alerts, recent, columns, list(state.gathered), state.partitions, dialled)


def pack(frozen: Frozen) -> bytes:
    """The bytes of a snapshot file."""
    columns = {
        group: {name: (held.dtype.str, held.tobytes()) for name, held in arrays.items()} for group, arrays in frozen.columns.items()
    }
    alerts = msgspec.msgpack.decode(frozen.alerts, type=dict[str, Alert])
    recent = msgspec.msgpack.decode(frozen.recent, type=Recent)
    gathered = to_value(together(frozen.gathered))
    dialled = msgspec.msgpack.decode(frozen.dialled, type=Dialled)
    return msgspec.msgpack.encode(
        _Image(LAYOUT, frozen.secret, frozen.calls, alerts, recent, columns, gathered, frozen.partitions, dialled)
    )


def unpack(data: bytes) -> State:
    """The state that `pack` wrote."""
    image = msgspec.msgpack.decode(data, type=_Image)
    if image.layout not in (1, LAYOUT):
        raise SnapshotError(f"the snapshot has layout {image.layout}, this release reads {LAYOUT}: start the release that wrote it, or a newer one")
    state = State(image.secret, alerts=image.alerts, recent=image.recent, partitions=image.partitions, dialled=image.dialled)
    if image.gathered and (gathered := from_value(image.gathered)).height:
        state.gathered = [gathered]
    for encoded in image.calls:
        c = msgspec.msgpack.decode(encoded, type=_CallsImage)
        state.calls[c.partition] = Calls(
            partition=c.partition, next_offset=c.next_offset, config_version=c.config_version, now_ms=c.now_ms, latest_ms=c.latest_ms,
            complete_to_ms=c.complete_to_ms, flights=c.flights, hung=c.hung, closed=c.closed, rows=c.rows,
            rings={boot: Ring(_array("q", seqs), _array("q", hashes), top) for boot, (seqs, hashes, top) in c.rings.items()}, forgotten=c.forgotten,
        )  # fmt: skip
    held = {
        group: {name: np.frombuffer(raw, np.dtype(dtype)) for name, (dtype, raw) in arrays.items()} for group, arrays in image.columns.items()
    }
    # What a state of an earlier release lacks begins empty.
    for group, of in (("burst", state.burst), ("caps", state.caps)):
        of.update({name: Columns.restore(new.dtypes, held[f"{group}/{name}"]) for name, new in of.items() if f"{group}/{name}" in held})
    if image.layout == 1:
        _from_layout_1(state)
    return state


def _from_layout_1(state: State) -> None:
    """Trunk caps are watch's now; a subject's home is not known until it calls again, nor are the keys of calls in flight."""
    state.alerts = {name: alert for name, alert in state.alerts.items() if "/trunk/" not in name}
    for columns in (*state.burst.values(), *state.caps.values()):
        columns["home"][: len(columns)] = -1
    for calls in state.calls.values():
        for flight in (*calls.flights.values(), *calls.hung.values()):
            flight.subject_facts, flight.subjects = (), ()


def _array(code: str, raw: bytes) -> array[int]:
    held: array[int] = array(code)
    held.frombytes(raw)
    return held


class Snapshots(Generic[Kept, Held]):
    """One file of the latest state, as `freeze` gave it and `pack` writes it. `publish` returns at once; what fails is raised at the
    next call."""

    def __init__(self, path: Path, pack: Callable[[Kept], bytes], unpack: Callable[[bytes], Held]) -> None:
        self.path = path
        self._pack, self._unpack = pack, unpack
        self._writing: threading.Thread | None = None
        self._failed: BaseException | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process a state. The journal's files would refuse a second one too; Kafka would not."""
        fd = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o640)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno != errno.EWOULDBLOCK:
                    raise
                raise SnapshotError(f"{self.path} is the state of a process that runs: one process a state; stop that one first") from None
            yield
        finally:
            os.close(fd)

    def load(self) -> Held | None:
        """The last published state, or None."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return self._unpack(data)
        except (msgspec.DecodeError, ValueError, KeyError) as broken:
            raise SnapshotError(
                f"{self.path} cannot be read ({broken}); move it away to read the journal again from its first offset: "
                "repeated orders are dropped as stale, repeated rows collapse"
            ) from broken

    def busy(self) -> bool:
        """Whether the last one is still being written."""
        return self._writing is not None and self._writing.is_alive()

    def publish(self, frozen: Kept) -> None:
        """Write behind. A crash before the rename leaves the file that was there."""
        self.wait()
        self._writing = threading.Thread(target=self._write, args=(frozen,), name="snapshot")
        self._writing.start()

    def wait(self) -> None:
        """Until the last one is durable; raises what went wrong."""
        if self._writing is not None:
            self._writing.join()
            self._writing = None
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise SnapshotError(
                f"{self.path} cannot be written: {failed}; nothing is lost: free the disk and start again, judging goes on from the last snapshot"
            ) from failed

    def _write(self, frozen: Kept) -> None:
        try:
            replace_file(self.path, self._pack(frozen))
        except Exception as failed:  # noqa: BLE001 - of a thread: raised at the next call
            self._failed = failed


def of_judge(path: Path) -> Snapshots[Frozen, State]:
    """The file of a judge's state."""
    return Snapshots(path, pack, unpack)
