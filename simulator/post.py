"""Posting like a shipper: batches of lines to the collector, again and again until it has acknowledged them, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import httpx2

Post = Callable[[bytes, int], None]
"""Lines and up to when they are complete. Returns when they are acknowledged; raises `NotTaken` when they are not."""


class NotTaken(Exception):
    """The collector did not acknowledge a batch: it is posted again. Says why in words."""


class Batch(NamedTuple):
    """Whole lines, and the time up to which the switch has then delivered everything."""

    lines: list[bytes]
    complete_to_ms: int


def to_collector(url: str, token: str, timeout_s: float = 5.0) -> Post:
    """A `Post` to the collector at `url` (its root, without the path)."""
    client = httpx2.Client(base_url=url, timeout=timeout_s, headers={"Authorization": f"Bearer {token}"})

    def post(lines: bytes, complete_to_ms: int) -> None:
        try:
            answer = client.post("/v1/records", content=lines, headers={"X-Complete-To-Ms": str(complete_to_ms)})
        except httpx2.TransportError as wrong:
            raise NotTaken(f"the collector at {url} cannot be reached: {wrong}") from wrong
        if answer.status_code in (400, 401, 403, 404, 413):
            raise PermissionError(f"the collector at {url} refuses us: {answer.status_code} {answer.text[:200]}")
        if answer.status_code != 200:
            raise NotTaken(f"the collector at {url} answered {answer.status_code}")

    return post


class Shipper:
    """A queue with a thread of its own, so that traffic goes on while the collector is away.

    The queue holds `most` lines; `put` then waits, and the traffic with it: nothing is ever thrown away.
    """

    def __init__(self, post: Post, most: int = 200_000, batch_lines: int = 500, pause_s: float = 0.2, longest_pause_s: float = 2.0) -> None:
        self._post = post
        self._most, self._batch_lines = most, batch_lines
        self._pause_s, self._longest_pause_s = pause_s, longest_pause_s
        self._queue: deque[Batch] = deque()
        self._lines = 0
        self._change = threading.Condition()
        self._closing = False
        self._give_up_after_s: float | None = None
        self.posted = 0
        self.retries = 0
        self.last_refusal = ""
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="simulator-shipper", daemon=True)
        self._thread.start()

    def put(self, lines: list[bytes], complete_to_ms: int) -> None:
        """Queue lines (none is fine: the time moves on all the same). Raises what ended the thread."""
        with self._change:
            self._change.wait_for(lambda: self._lines < self._most or self.error is not None)
            self._raise()
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
        """Deliver the rest, for so long at most; what is still not acknowledged then is its answer."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(within_s)
        with self._change:
            self._give_up_after_s = 0.0
            self._change.notify_all()
            left = self._lines
            self._raise()
        return left

    def _raise(self) -> None:
        if self.error is not None:
            raise RuntimeError(f"the simulator can no longer deliver: {self.error}") from self.error

    def _run(self) -> None:
        try:
            while batch := self._take():
                self._deliver(batch)
        except BaseException as wrong:  # handed to the caller of `put` and `close`
            with self._change:
                self.error = wrong
                self._change.notify_all()

    def _take(self) -> Batch | None:
        with self._change:
            self._change.wait_for(lambda: self._queue or self._closing)
            if not self._queue:
                return None
            batch = self._queue.popleft()
            while self._queue and len(batch.lines) + len(self._queue[0].lines) <= self._batch_lines:
                more = self._queue.popleft()
                batch = Batch(batch.lines + more.lines, more.complete_to_ms)
            return batch

    def _deliver(self, batch: Batch) -> None:
        body = b"".join(line + b"\n" for line in batch.lines)
        pause_s = self._pause_s
        while True:
            try:
                self._post(body, batch.complete_to_ms)
            except NotTaken as why:
                self.retries += 1
                self.last_refusal = str(why)
                with self._change:
                    if self._change.wait_for(lambda: self._give_up_after_s is not None, pause_s):
                        return
                pause_s = min(pause_s * 2, self._longest_pause_s)
                continue
            with self._change:
                self.posted += len(batch.lines)
                self._lines -= len(batch.lines)
                self._change.notify_all()
            return
