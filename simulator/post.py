"""Posting like a shipper: batches of lines to the collector, again and again until it has acknowledged them, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Self

from switches.post import PostError, connect, post_records

Post = Callable[[list[bytes], int], object]
"""Lines, and up to when the switch has then delivered everything. Returns once acknowledged, else raises a `PostError`."""


class Batch(NamedTuple):
    """Whole lines, and the time up to which the switch has then delivered everything."""

    lines: list[bytes]
    complete_to_ms: int


def to_collector(url: str, token: str, timeout_s: float = 5.0) -> Post:
    """A `Post` to the collector at `url` (http://host:port)."""
    client = connect(url, token, timeout_s)

    def post(lines: list[bytes], complete_to_ms: int) -> int:
        return post_records(client, lines, complete_to_ms=complete_to_ms)

    return post


class Shipper:
    """A queue with a thread of its own, so that traffic goes on while the collector is away.

    The queue holds `most` lines; `put` then waits, and the traffic with it: nothing is ever thrown away. A `PostError` is a
    reason to post the batch again; any other error ends the thread and is raised by `put` and `close`.
    """

    def __init__(
        self, post: Post, most: int = 200_000, batch_lines: int = 500, pause_s: float = 0.2, longest_pause_s: float = 2.0
    ) -> None:
        self._post = post
        self._most, self._batch_lines = most, batch_lines
        self._pause_s, self._longest_pause_s = pause_s, longest_pause_s
        self._queue: deque[Batch] = deque()
        self._lines = 0
        self._change = threading.Condition()
        self._closing = False
        self._given_up = False
        self.posted = 0
        self.retries = 0
        self.last_refusal = ""
        self._pool = ThreadPoolExecutor(1, "simulator-shipper")
        self._thread = self._pool.submit(self._run)
        self._thread.add_done_callback(self._wake)

    def put(self, lines: list[bytes], complete_to_ms: int) -> None:
        """Queue lines (none is fine: the time moves on all the same)."""
        with self._change:
            self._change.wait_for(lambda: self._lines < self._most or self._thread.done())
            if self._thread.done():
                self._thread.result()
                raise RuntimeError("the simulator's shipper is closed")
            if not lines and self._queue and not self._queue[-1].lines:
                self._queue.pop()
            self._queue.append(Batch(lines, complete_to_ms))
            self._lines += len(lines)
            self._change.notify_all()

    def waiting(self) -> int:
        """Lines that are not acknowledged yet."""
        with self._change:
            return self._lines

    def close(self, within_s: float) -> int:
        """Deliver the rest, for so long at most; how many lines are still not acknowledged then."""
        with self._change:
            self._closing = True
            self._change.notify_all()
            self._change.wait_for(lambda: self._lines == 0 or self._thread.done(), within_s)
            self._given_up = True
            self._change.notify_all()
        self._pool.shutdown(wait=True)
        self._thread.result()
        return self._lines

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After an error nothing is waited for: what is not delivered then is lost with the run."""
        with self._change:
            self._closing = True
            self._given_up = self._given_up or kind is not None
            self._change.notify_all()
        self._pool.shutdown(wait=True)

    def _wake(self, _: Future[None]) -> None:
        with self._change:
            self._change.notify_all()

    def _run(self) -> None:
        while batch := self._take():
            self._deliver(batch)

    def _take(self) -> Batch | None:
        with self._change:
            self._change.wait_for(lambda: self._queue or self._closing)
            if not self._queue or self._given_up:
                return None
            batch = self._queue.popleft()
            while self._queue and len(batch.lines) + len(self._queue[0].lines) <= self._batch_lines:
                more = self._queue.popleft()
                batch = Batch(batch.lines + more.lines, more.complete_to_ms)
            return batch

    def _deliver(self, batch: Batch) -> None:
        pause_s = self._pause_s
        while True:
            try:
                self._post(batch.lines, batch.complete_to_ms)
            except PostError as why:
                with self._change:
                    self.retries += 1
                    self.last_refusal = str(why)
                    if self._change.wait_for(lambda: self._given_up, pause_s):
                        return
                pause_s = min(pause_s * 2, self._longest_pause_s)
                continue
            with self._change:
                self.posted += len(batch.lines)
                self._lines -= len(batch.lines)
                self._change.notify_all()
            return
