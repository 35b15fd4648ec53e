"""One thread that writes to the journal: all that is posted while it writes is its next group, with one fsync per partition.

The partitions of a group are written at the same time: each waits for an fsync or a broker, and a journal that does not answer delays a
group by one time-out, not by one per partition.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from journal import Entry, TooLarge
from switches.lane import Lane, size_of

_log = logging.getLogger(__name__)

GROUP_BYTES = 8 << 20
IDLE_S = 0.2
"""How often lanes with a spool try to catch up while nothing is posted."""


class Busy(Exception):
    """More is posted than the disk takes: try again in a moment."""


class _Post(NamedTuple):
    parts: Mapping[int, Sequence[Entry]]
    size: int
    stored: Future[None]


class Committer:
    """`submit` may be called from any thread; one thread writes. `queue_bytes`: at most so much waits to be written."""

    def __init__(self, lanes: Sequence[Lane], queue_bytes: int) -> None:
        self._lanes = lanes
        self._queue_bytes = queue_bytes
        self._queue: deque[_Post] = deque()
        self._queued_bytes = 0
        self._taken: list[_Post] = []
        self._stopping = False
        self._fault = ""
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(len(lanes), thread_name_prefix="committer")
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def submit(self, parts: Mapping[int, Sequence[Entry]]) -> Future[None]:
        """Entries by partition. The future is done once all are synced, after all earlier ones; it may hold `SpoolFull`."""
        size = sum(map(size_of, parts.values()))
        stored: Future[None] = Future()
        with self._changed:
            if self._stopping:
                raise Busy("the collector is stopping")
            if self._queued_bytes + size > self._queue_bytes and self._queue:
                raise Busy(f"{self._queued_bytes} bytes wait to be written already")
            self._queue.append(_Post(parts, size, stored))
            self._queued_bytes += size
            self._changed.notify()
        return stored

    @property
    def fault(self) -> str:
        """Why the thread has ended, or "" while it runs."""
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
        except Exception as error:  # noqa: BLE001 - a bug: nothing more can be stored, and nobody may wait for it
            self._fault = f"{type(error).__name__}: {error}"
            _log.exception("the writing thread stopped")
            with self._changed:
                self._stopping = True
                waiting = [post for post in self._queue if post.stored.set_running_or_notify_cancel()]
            for post in [*self._taken, *waiting]:
                if not post.stored.done():
                    post.stored.set_exception(Busy(f"the collector stopped: {self._fault}"))
        finally:
            self._pool.shutdown()
            for lane in self._lanes:
                lane.close()

    def _write_until_closed(self) -> None:
        moved = 0
        while (group := self._take(0.0 if moved else IDLE_S)) is not None:
            self._taken = group
            if group:
                self._commit(group)
            behind = [lane for lane in self._lanes if lane.waiting]
            moved = sum(self._pool.map(_catch_up, behind)) if len(behind) > 1 else sum(map(_catch_up, behind))

    def _take(self, wait_s: float) -> list[_Post] | None:
        """What waits, at most a group; `[]` after `wait_s` without a post while a lane is behind; None at the end."""
        with self._changed:
            if not self._queue and not self._stopping:
                behind = any(lane.waiting for lane in self._lanes)
                self._changed.wait(wait_s if behind else None)
            if not self._queue and self._stopping:
                return None
            group: list[_Post] = []
            size = 0
            while self._queue and (not group or size + self._queue[0].size <= GROUP_BYTES):
                post = self._queue.popleft()
                size += post.size
                if post.stored.set_running_or_notify_cancel():  # else its sender has gone without an answer
                    group.append(post)
            self._queued_bytes -= size
            return group

    def _commit(self, group: list[_Post]) -> None:
        merged: dict[int, list[Entry]] = {}
        for post in group:
            for partition, entries in post.parts.items():
                merged.setdefault(partition, []).extend(entries)
        faults: dict[tuple[int, int], Exception] = {}  # (index in the group, partition)

        def append(partition: int) -> None:
            mine = [index for index, post in enumerate(group) if partition in post.parts]
            try:
                self._lanes[partition].append(merged[partition])
            except TooLarge as error:
                if len(mine) == 1:
                    faults[mine[0], partition] = error
                else:  # one entry of one post: the other posts are not refused for it (what is stored already is stored twice)
                    apart(partition, mine)
            except Exception as error:  # noqa: BLE001 - handed to the senders as it is
                faults.update({(index, partition): error for index in mine})

        def apart(partition: int, indexes: Sequence[int]) -> None:
            for index in indexes:
                try:
                    self._lanes[partition].append(group[index].parts[partition])
                except Exception as error:  # noqa: BLE001 - as above
                    faults[index, partition] = error

        first, *others = merged
        waiting = [self._pool.submit(append, partition) for partition in others]
        append(first)
        for one in waiting:
            one.result()
        for index, post in enumerate(group):
            fault = next((faults[index, partition] for partition in post.parts if (index, partition) in faults), None)
            if fault is None:
                post.stored.set_result(None)
            else:
                post.stored.set_exception(fault)


def _catch_up(lane: Lane) -> int:
    try:
        return lane.catch_up()
    except Exception as error:  # noqa: BLE001 - a damaged spool must not stop the other partitions; it is logged each time
        _log.error("a partition's spool cannot be moved into the journal: %s: %s", type(error).__name__, error)
        return 0
