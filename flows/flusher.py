"""A buffer that a thread of its own writes out: when it is full, when its oldest item has waited long enough, or when `flush` asks for it.

`write_batch` of a Bytewax sink is called when there is something to write, so it cannot notice that a lone item has waited long
enough. The thread can. An error of the thread is raised at every later call here: the flow must stop, and a restart reads again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Stalled(Exception):
    """The buffer is full, or must be written, and the write under way does not come back."""


class Flusher(Generic[Item]):
    """`put` adds items; `flush` returns when all of them are written.

    >>> written = []
    >>> flusher = Flusher(written.append, full_bytes=100, linger_s=60.0, stall_s=5.0)
    >>> flusher.put(["a", "b"], 2); flusher.flush(); written
    [['a', 'b']]
    >>> flusher.close()
    True

    `full_bytes` starts a write; at twice as much `put` waits. After `stall_s` of waiting it raises `Stalled`. `finish` is called
    in the thread when it ends, however late.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], None],
        *,
        full_bytes: int,
        linger_s: float,
        stall_s: float,
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        self._write, self._finish = write, finish
        self._full_bytes, self._linger_s, self._stall_s = full_bytes, linger_s, stall_s
        self._turn = threading.Condition()
        self._items: list[Item] = []
        self._bytes = 0
        self._oldest_s = 0.0
        self._added = self._done = 0  # items since the start
        self._flush_wanted = self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)
        self._thread.start()

    def put(self, items: Sequence[Item], size_bytes: int) -> None:
        """Adds items; waits while the buffer holds twice `full_bytes`."""
        with self._turn:
            self._wait_until(lambda: self._bytes < 2 * self._full_bytes, "take more")
            if not self._items:
                self._oldest_s = time.monotonic()
            self._items.extend(items)
            self._added += len(items)
            self._bytes += size_bytes
            self._turn.notify_all()

    def flush(self) -> None:
        """Returns when every item that was added before is written."""
        with self._turn:
            upto = self._added
            if self._done < upto:
                self._flush_wanted = True
                self._turn.notify_all()
            self._wait_until(lambda: self._done >= upto, "write what it holds")

    def close(self, wait_s: float = 5.0) -> bool:
        """Ends the thread; whether it ended in time. What is still in the buffer is not written, and no `flush` has returned for it."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        self._thread.join(timeout=wait_s)
        return not self._thread.is_alive()

    def _wait_until(self, ready: Callable[[], bool], what: str) -> None:
        in_time = self._turn.wait_for(lambda: self._error is not None or ready(), timeout=self._stall_s)
        if self._error is not None:
            raise self._error
        if not in_time:
            raise Stalled(f"for {self._stall_s:g} s the writer could not {what}")

    def _run(self) -> None:
        try:
            self._write_until_closed()
        finally:
            self._finish()

    def _write_until_closed(self) -> None:
        while True:
            with self._turn:
                while not self._due():
                    if self._closed:
                        return
                    left_s = self._oldest_s + self._linger_s - time.monotonic() if self._items else None
                    self._turn.wait(timeout=left_s)
                items, self._items, self._flush_wanted = self._items, [], False
                self._bytes = 0
                self._turn.notify_all()
            try:
                self._write(items)
            except BaseException as error:  # noqa: BLE001 - whatever it was, it is raised where the flow can see it
                with self._turn:
                    self._error = error
                    self._turn.notify_all()
                return
            with self._turn:
                self._done += len(items)
                self._turn.notify_all()

    def _due(self) -> bool:
        if self._closed or not self._items:
            return False
        return self._flush_wanted or self._bytes >= self._full_bytes or time.monotonic() - self._oldest_s >= self._linger_s
