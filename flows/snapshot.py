"""Judge's state on disk: copied in memory, written behind, published when durable.

A snapshot holds the offsets that it was taken at, so state and offsets cannot part. The file is replaced whole (write beside, fsync, rename):
a crash at any moment leaves the last published one. The layout is a stored format: `LAYOUT` changes with a migration.
"""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from core.flight import Calls, Flight, Ring
from detectors import burst, caps
from detectors.columns import Columns
from detectors.policy import Alert
from detectors.recent import Recent
from flows.step import State
from journal.durable import replace_file

LAYOUT = 1


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


@dataclass(frozen=True)
class Frozen:
    """A copy of the state that nobody changes any more."""

    secret: bytes
    calls: list[bytes]
    alerts: bytes
    recent: bytes
    columns: dict[str, dict[str, Any]]


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
    return Frozen(state.secret, calls, encode(state.alerts), encode(state.recent), columns)


def pack(frozen: Frozen) -> bytes:
    """The bytes of a snapshot file."""
    columns = {
        group: {name: (held.dtype.str, held.tobytes()) for name, held in arrays.items()} for group, arrays in frozen.columns.items()
    }
    alerts = msgspec.msgpack.decode(frozen.alerts, type=dict[str, Alert])
    recent = msgspec.msgpack.decode(frozen.recent, type=Recent)
    return msgspec.msgpack.encode(_Image(LAYOUT, frozen.secret, frozen.calls, alerts, recent, columns))


def unpack(data: bytes) -> State:
    """The state that `pack` wrote."""
    image = msgspec.msgpack.decode(data, type=_Image)
    if image.layout != LAYOUT:
        raise SnapshotError(f"the snapshot has layout {image.layout}, this release reads {LAYOUT}: run the release's migration")
    state = State(image.secret, alerts=image.alerts, recent=image.recent)
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
    state.burst = {level: Columns.restore(columns.dtypes, held[f"burst/{level}"]) for level, columns in burst.new_state().items()}
    state.caps = {watched: Columns.restore(caps.COLUMNS, held[f"caps/{watched}"]) for watched in caps.WATCHED}
    return state


def _array(code: str, raw: bytes) -> array[int]:
    held: array[int] = array(code)
    held.frombytes(raw)
    return held


class Snapshots:
    """One file of the latest state. `publish` returns at once; what fails is raised at the next call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing: threading.Thread | None = None
        self._failed: BaseException | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    def load(self) -> State | None:
        """The last published state, or None."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return unpack(data)
        except (msgspec.DecodeError, ValueError, KeyError) as broken:
            raise SnapshotError(
                f"{self.path} cannot be read ({broken}); move it away to judge the journal again from its first offset: "
                "repeated orders are dropped as stale, repeated rows collapse"
            ) from broken

    def busy(self) -> bool:
        """Whether the last one is still being written."""
        return self._writing is not None and self._writing.is_alive()

    def publish(self, frozen: Frozen) -> None:
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

    def _write(self, frozen: Frozen) -> None:
        try:
            replace_file(self.path, pack(frozen))
        except Exception as failed:  # noqa: BLE001 - of a thread: raised at the next call
            self._failed = failed
