"""The state of judge and watch on disk: copied in memory, written behind, published when durable.

A snapshot holds the offsets that it was taken at, so state and offsets cannot part. The file is replaced whole (write beside, fsync, rename):
a crash at any moment leaves the last published one. The layout is a stored format: `LAYOUT` changes with a migration.

    judge.state             the last one: 8 bytes that name the format, the snapshot, and a BLAKE2b checksum over both
    judge.state.previous    the one before it, which is read where the last one is damaged

Retention is told the offsets of the one before: what may have to be read again is kept.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
import polars as pl
from core.flight import Calls, Flight, Ring

from core import locks
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

MAGIC = b"RFSTATE1"
_CHECKSUM_BYTES = 32

_log = logging.getLogger(__name__)

Kept = TypeVar("Kept")
Held = TypeVar("Held")


class SnapshotError(RuntimeError):
    """The state cannot be read or written: names the file and what to do."""


class _CallsImage(msgspec.Struct):
    partition: int
    next_offset: int
    config_version: int
    now_ms: int
    complete_to_ms: dict[str, int]
    flights: dict[str, Flight]
    hung: dict[str, Flight]
    closed: dict[str, tuple[int, int, str, bool]]
    rows: dict[int, int]
    rings: dict[str, tuple[bytes, bytes, int]]
    forgotten: dict[str, int] = {}
    ahead: dict[str, dict[int, int]] = {}


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
    next_offsets: Mapping[int, int]


def freeze(state: State) -> Frozen:
    """Copy the state in memory: the only pause that a record waits for."""
    encode = msgspec.msgpack.encode
    calls = [
        encode(
            _CallsImage(
                c.partition, c.next_offset, c.config_version, c.now_ms, c.complete_to_ms, c.flights, c.hung, c.closed, c.rows,
                {boot: (ring.seqs.tobytes(), ring.hashes.tobytes(), ring.top) for boot, ring in c.rings.items()}, c.forgotten,
                {boot: ring.ahead for boot, ring in c.rings.items() if ring.ahead},
            )
        )
        for c in state.calls.values()
    ]  # fmt: skip
    columns = {f"burst/{level}": held.copy() for level, held in state.burst.items()}
    columns |= {f"caps/{watched}": held.copy() for watched, held in state.caps.items()}
    offsets = {partition: held.next_offset for partition, held in state.calls.items()}
    alerts, recent, dialled = encode(state.alerts), encode(state.recent), encode(state.dialled)
    return Frozen(state.secret, calls, alerts, recent, columns, list(state.gathered), state.partitions, dialled, offsets)


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
            partition=c.partition, next_offset=c.next_offset, config_version=c.config_version, now_ms=c.now_ms,
            complete_to_ms=c.complete_to_ms, flights=c.flights, hung=c.hung, closed=c.closed, rows=c.rows,
            rings={
                boot: Ring(_array("q", seqs), _array("q", hashes), top, c.ahead.get(boot, {}))
                for boot, (seqs, hashes, top) in c.rings.items()
            },
            forgotten=c.forgotten,
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


def sealed(payload: bytes) -> bytes:
    """A snapshot with its checksum, as it lies on the disk.

    >>> unsealed(sealed(b"state"))
    b'state'
    >>> unsealed(sealed(b"state")[:-1] + b"?")
    Traceback (most recent call last):
    ...
    ValueError: the checksum is wrong
    """
    return MAGIC + payload + hashlib.blake2b(MAGIC + payload, digest_size=_CHECKSUM_BYTES).digest()


def unsealed(data: bytes) -> bytes:
    """The snapshot in a file. One without the first bytes is of a release that wrote no checksum: what is in it is taken as it is."""
    if not data.startswith(MAGIC):
        return data
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if len(body) < len(MAGIC) or hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES).digest() != checksum:
        raise ValueError("the checksum is wrong")
    return body[len(MAGIC) :]


def previous_of(path: Path) -> Path:
    """Where the snapshot before the last one lies.

    >>> previous_of(Path("/srv/state/judge.state"))
    PosixPath('/srv/state/judge.state.previous')
    """
    return path.with_name(path.name + ".previous")


class Snapshots(Generic[Kept, Held]):
    """The latest state, as `freeze` gave it and `pack` writes it, and the one before it. `publish` returns at once; what fails is raised at
    the next call. `durable(offsets)` is called with the offsets of the older of the two when the newer one is on the disk."""

    def __init__(
        self,
        path: Path,
        pack: Callable[[Kept], bytes],
        unpack: Callable[[bytes], Held],
        offsets: Callable[[Kept], Mapping[int, int]],
        durable: Callable[[Mapping[int, int]], None] | None = None,
    ) -> None:
        self.path = path
        self._pack = pack
        self._unpack = unpack
        self._offsets, self._durable = offsets, durable
        self._before: Mapping[int, int] | None = None
        self._last_is_damaged = False
        self._writing: threading.Thread | None = None
        self._failed: BaseException | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process a state. The journal's files would refuse a second one too; Kafka would not."""
        try:
            fd = locks.take(self.path.with_suffix(".lock"))
        except locks.LockTaken:
            raise SnapshotError(f"{self.path} is the state of a process that runs: one process per state; stop that one first") from None
        try:
            yield
        finally:
            os.close(fd)

    def load(self) -> Held | None:
        """The last published state, or the one before where that is damaged, or None where there is none. A last one that was moved away is
        moved away: then the one before it is not looked at."""
        if not self.path.exists():
            return None
        try:
            return self._read(self.path)
        except _Damaged as damage:
            before = previous_of(self.path)
            if not before.exists():
                raise SnapshotError(f"{damage}; move it away {_THEN}") from damage.__cause__
            try:
                held = self._read(before)
            except _Damaged as other:
                raise SnapshotError(f"{damage}, and {other}; move both away {_THEN}") from other.__cause__
            _log.error("%s: the one before it is used, and what came since is read again", damage)
            self._last_is_damaged = True
            return held

    def _read(self, path: Path) -> Held:
        data = path.read_bytes()
        try:
            return self._unpack(unsealed(data))
        except SnapshotError:
            raise  # of another layout, and whole
        except Exception as broken:  # bytes that mean nothing can raise anything
            raise _Damaged(f"{path} cannot be read ({broken})") from broken

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
            data = sealed(self._pack(frozen))
            if not self._last_is_damaged:
                self._keep_last()
            replace_file(self.path, data)
            self._last_is_damaged = False
            if self._durable is not None and self._before is not None:
                self._durable(self._before)
            self._before = self._offsets(frozen)
        except Exception as failed:  # noqa: BLE001 - of a thread: raised at the next call
            self._failed = failed

    def _keep_last(self) -> None:
        """Gives the last one a second name. The first one stays: a crash at any moment leaves it."""
        before = previous_of(self.path)
        draft = before.with_name(f".{before.name}.new")
        draft.unlink(missing_ok=True)
        try:
            os.link(self.path, draft)
        except FileNotFoundError:
            before.unlink(missing_ok=True)  # there is no last one: this is not the one before the next
            return
        except OSError:
            replace_file(before, self.path.read_bytes())  # a file system without second names
            return
        os.replace(draft, before)


class _Damaged(Exception):
    """A file that does not hold a state."""


_THEN = "to read the journal again from its first offset: repeated orders are dropped as stale, repeated rows collapse"


def of_judge(path: Path, durable: Callable[[Mapping[int, int]], None] | None = None) -> Snapshots[Frozen, State]:
    """The files of a judge's state."""
    return Snapshots(path, pack, unpack, lambda frozen: frozen.next_offsets, durable)
