"""The state of judge and watch on disk: copied in memory, written behind, published when durable.

A snapshot holds the offsets that it was taken at, so state and offsets cannot part. The file is replaced whole (write beside, fsync, rename):
a crash at any moment leaves the last published one. The layout is a stored format: `LAYOUT` changes with a migration.

    judge.state             the last one: 8 bytes that name the format, the snapshot, and a BLAKE2b checksum over both
    judge.state.previous    the one before it, which is read where the last one is damaged

Retention gets the offsets of the one before: what may have to be read again stays in the journal.
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

from core import locks
from core.active import Partition
from detectors.columns import KEY, Columns
from detectors.state import DetectorState
from detectors.sums import from_layout_1
from flows.batches import from_value, to_value
from flows.step import State
from journal.durable import replace_file
from rating.accrue import Accrued
from rating.charge import Purchases

LAYOUT = 2
"""2: the sums since the last tick are frames (`detectors.sums.Gathered`); before, values by key."""

MAGIC = b"RFSTATE1"
_CHECKSUM_BYTES = 32

_log = logging.getLogger(__name__)

Copy = TypeVar("Copy")
Restored = TypeVar("Restored")


class SnapshotError(RuntimeError):
    """The state cannot be read or written: names the file and what to do."""


@dataclass(frozen=True)
class Frozen:
    """A copy of the state that nobody changes any more: the plain values encoded, and beside them the arrays and frames that they name by
    number."""

    encoded: bytes
    columns: list[tuple[Columns, dict[str, Any]]]  # the original, and its copy
    frames: list[pl.DataFrame]
    next_offsets: Mapping[int, int]


class _Image(msgspec.Struct):
    layout: int
    encoded: bytes
    columns: list[dict[str, tuple[str, bytes]]]  # column -> dtype, bytes
    frames: list[bytes]  # Arrow streams


_STATE = tuple[int, dict[int, Partition], dict[int, Purchases], dict[int, Accrued], DetectorState]
"""Of a state: its partitions, and what each stage remembers. All of their fields are stored, by their names."""


def freeze(state: State) -> Frozen:
    """Copy the state in memory: the only pause that a record waits for."""
    columns: list[tuple[Columns, dict[str, Any]]] = []
    frames: list[pl.DataFrame] = []

    def by_number(value: Any) -> Any:
        if isinstance(value, Columns):
            columns.append((value, value.copy()))
            return len(columns) - 1
        if isinstance(value, pl.DataFrame):  # nobody changes a frame
            frames.append(value)
            return len(frames) - 1
        if isinstance(value, array):
            return value.tobytes()
        raise NotImplementedError(f"a {type(value).__name__} cannot be stored")

    encoded = msgspec.msgpack.encode(
        (state.partitions, state.calls, state.purchases, state.accrued, state.detectors), enc_hook=by_number
    )
    return Frozen(encoded, columns, frames, {partition: calls.next_offset for partition, calls in state.calls.items()})


def pack(frozen: Frozen) -> bytes:
    """The bytes of a snapshot file. The memory of the copy is used again for the next one: a `Frozen` is packed once."""
    columns = [{name: (values.dtype.str, values.tobytes()) for name, values in copied.items()} for _, copied in frozen.columns]
    image = _Image(LAYOUT, frozen.encoded, columns, [to_value(frame) for frame in frozen.frames])
    for original, copied in frozen.columns:
        original.reuse(copied)
    return msgspec.msgpack.encode(image)


def unpack(data: bytes) -> State:
    """The state that `pack` wrote."""
    image = msgspec.msgpack.decode(data, type=_Image)
    if image.layout == 1:
        image = _from_layout_1(image)
    if image.layout != LAYOUT:
        raise SnapshotError(f"the snapshot has layout {image.layout}, this release reads {LAYOUT}: start the release that wrote it, or a newer one")

    def from_number(kind: type, value: Any) -> Any:
        if kind is Columns:
            stored = {name: np.frombuffer(raw, np.dtype(dtype)) for name, (dtype, raw) in image.columns[value].items()}
            return Columns.restore({name: values.dtype for name, values in stored.items() if name != KEY}, stored)
        if kind is pl.DataFrame:
            return from_value(image.frames[value])
        if kind is array:
            return array("q", value)
        raise NotImplementedError(f"a {kind} cannot be read")

    partitions, calls, purchases, accrued, detectors = msgspec.msgpack.decode(image.encoded, type=_STATE, dec_hook=from_number)
    state = State(detectors.secret, calls=calls, purchases=purchases, accrued=accrued, partitions=partitions)
    state.detectors = detectors
    return state


def _from_layout_1(image: _Image) -> _Image:
    *others, detectors = msgspec.msgpack.decode(image.encoded)
    sums = from_layout_1(detectors["gathered"])
    detectors["gathered"] = [len(image.frames) + at for at in range(len(sums))]
    return _Image(LAYOUT, msgspec.msgpack.encode((*others, detectors)), image.columns, [*image.frames, *map(to_value, sums)])


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
    """The snapshot in a file; raises `ValueError` where it is not whole."""
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if not body.startswith(MAGIC):
        raise ValueError("it does not begin as a snapshot does")
    if hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES).digest() != checksum:
        raise ValueError("the checksum is wrong")
    return body[len(MAGIC) :]


def previous_of(path: Path) -> Path:
    """Where the snapshot before the last one lies.

    >>> previous_of(Path("/srv/state/judge.state"))
    PosixPath('/srv/state/judge.state.previous')
    """
    return path.with_name(path.name + ".previous")


class Snapshots(Generic[Copy, Restored]):
    """The latest state, as `freeze` gave it and `pack` writes it, and the one before it. `publish` returns at once; what fails is raised at
    the next call. `durable(offsets)` is called with the offsets of the older of the two when the newer one is on the disk."""

    def __init__(
        self,
        path: Path,
        pack: Callable[[Copy], bytes],
        unpack: Callable[[bytes], Restored],
        offsets: Callable[[Copy], Mapping[int, int]],
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

    def load(self) -> Restored | None:
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

    def _read(self, path: Path) -> Restored:
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

    def publish(self, frozen: Copy) -> None:
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

    def _write(self, frozen: Copy) -> None:
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
