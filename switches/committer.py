"""One thread that writes: what was posted while it wrote is written together next, and shares one fsync a partition.

The partitions of a group are written at the same time: each has an fsync or a broker to wait for, and a journal that does not answer holds
up a group once, not once a partition.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from journal import Entry, TooLarge
from switches.lane import Lane

_log = logging.getLogger(__name__)

GROUP_BYTES = 8 << 20
FRAME_BYTES = 28
"""What the journal adds to an entry: of tiny ones it is most of the size."""
IDLE_S = 0.2
"""How often lanes that are behind are looked at when nothing is posted."""


class Busy(Exception):
    """More is posted than the disk takes; come again in a moment."""


class _Parcel(NamedTuple):
    parts: Mapping[int, Sequence[Entry]]
    size: int
    kept: Future[None]


class Committer:
    """`submit` from any thread; everything else happens in one. `queue_bytes` bounds what waits to be written."""

    def __init__(self, lanes: Sequence[Lane], queue_bytes: int) -> None:
        self._lanes = lanes
        self._queue_bytes = queue_bytes
        self._queue: deque[_Parcel] = deque()
        self._queued_bytes = 0
        self._taken: list[_Parcel] = []
        self._stopping = False
        self._fault = ""
        self._changed = threading.Condition()
        self._hands = ThreadPoolExecutor(len(lanes), thread_name_prefix="committer")
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def submit(self, parts: Mapping[int, Sequence[Entry]]) -> Future[None]:
        """Entries by partition. The future is done once all are synced, behind what came before; it may hold `SpoolFull`."""
        size = sum(len(entry.key) + len(entry.value) + FRAME_BYTES for entries in parts.values() for entry in entries)
        kept: Future[None] = Future()
        with self._changed:
            if self._stopping:
                raise Busy("the collector is stopping")
            if self._queued_bytes + size > self._queue_bytes and self._queue:
                raise Busy(f"{self._queued_bytes} bytes wait to be written already")
            self._queue.append(_Parcel(parts, size, kept))
            self._queued_bytes += size
            self._changed.notify()
        return kept

    @property
    def fault(self) -> str:
        """What stopped the thread for good, or ""."""
        return self._fault

    def close(self) -> None:
        """Writes what was submitted, then stops."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._write_until_closed()
        except Exception as error:  # noqa: BLE001 - a bug of ours: nothing more can be kept, and nobody may wait for it
            self._fault = f"{type(error).__name__}: {error}"
            _log.exception("the writing thread stopped")
            with self._changed:
                self._stopping = True
                waiting = [parcel for parcel in self._queue if parcel.kept.set_running_or_notify_cancel()]
            for parcel in [*self._taken, *waiting]:
                if not parcel.kept.done():
                    parcel.kept.set_exception(Busy(f"the collector stopped: {self._fault}"))
        finally:
            self._hands.shutdown()
            for lane in self._lanes:
                lane.close()

    def _write_until_closed(self) -> None:
        moved = 0
        while (group := self._take(0.0 if moved else IDLE_S)) is not None:
            self._taken = group
            if group:
                self._commit(group)
            behind = [lane for lane in self._lanes if lane.waiting]
            moved = sum(self._hands.map(_catch_up, behind)) if len(behind) > 1 else sum(map(_catch_up, behind))

    def _take(self, wait_s: float) -> list[_Parcel] | None:
        """What waits, up to a group; `[]` after `wait_s` of nothing while a lane is behind; None at the end."""
        with self._changed:
            if not self._queue and not self._stopping:
                behind = any(lane.waiting for lane in self._lanes)
                self._changed.wait(wait_s if behind else None)
            if not self._queue and self._stopping:
                return None
            group: list[_Parcel] = []
            size = 0
            while self._queue and (not group or size + self._queue[0].size <= GROUP_BYTES):
                parcel = self._queue.popleft()
                size += parcel.size
                if parcel.kept.set_running_or_notify_cancel():  # else whoever posted it has gone, unacknowledged
                    group.append(parcel)
            self._queued_bytes -= size
            return group

    def _commit(self, group: list[_Parcel]) -> None:
        merged: dict[int, list[Entry]] = {}
        for parcel in group:
            for partition, entries in parcel.parts.items():
                merged.setdefault(partition, []).extend(entries)
        faults: dict[tuple[int, int], Exception] = {}  # (place in the group, partition)

        def append(partition: int) -> None:
            mine = [place for place, parcel in enumerate(group) if partition in parcel.parts]
            try:
                self._lanes[partition].append(merged[partition])
            except TooLarge as error:
                if len(mine) == 1:
                    faults[mine[0], partition] = error
                else:  # one entry of one of them: the others are not refused for it (what is there already comes twice)
                    apart(partition, mine)
            except Exception as error:  # noqa: BLE001 - goes to whoever posted, as it is
                faults.update({(place, partition): error for place in mine})

        def apart(partition: int, places: Sequence[int]) -> None:
            for place in places:
                try:
                    self._lanes[partition].append(group[place].parts[partition])
                except Exception as error:  # noqa: BLE001 - as above
                    faults[place, partition] = error

        mine, others = list(merged)[:1], list(merged)[1:]
        waiting = [self._hands.submit(append, partition) for partition in others]
        for partition in mine:
            append(partition)
        for one in waiting:
            one.result()
        for place, parcel in enumerate(group):
            fault = next((faults[place, partition] for partition in parcel.parts if (place, partition) in faults), None)
            if fault is None:
                parcel.kept.set_result(None)
            else:
                parcel.kept.set_exception(fault)


def _catch_up(lane: Lane) -> int:
    try:
        return lane.catch_up()
    except Exception as error:  # noqa: BLE001 - a damaged spool must not stop the other partitions; it is told each time
        _log.error("the spool cannot be handed on: %s: %s", type(error).__name__, error)
        return 0
