"""The last good answer of a query, refreshed by a thread of its own while somebody views the page.

The page never waits for a query: it shows the last answer, its age, and the error since. However many people view it, a query runs once;
when nobody does, it does not run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")

IDLE_S = 30.0
"""After this long without a viewer the thread ends; the next viewer starts another one."""
TIMEOUT_S = 6.0
"""A query that runs longer is shown as not answered."""
SHARE = 0.2
"""Of the time that may be spent querying: a slow query runs less often."""


class Latest(NamedTuple, Generic[Value]):
    """The last good answer (None = none yet), its time, and the current error ("" = none). `refused`: the error is the answer, such as that there
    is no such case; to ask again changes nothing."""

    value: Value | None
    at_ms: int
    error: str
    refused: bool = False


class Polled(Generic[Value]):
    """`ask` runs the query. Whatever it raises is shown as the error."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], Value],
        clock: Callable[[], int],
        every_s: float = 2.0,
        share: float = SHARE,
        idle_s: float = IDLE_S,
    ) -> None:
        self._name, self._ask, self._clock, self._every_s, self._share, self._idle_s = name, ask, clock, every_s, share, idle_s
        self._turn = threading.Condition()
        self._thread: threading.Thread | None = None
        self._viewed_s = 0.0
        self._asking_s: float | None = None
        self._asked = 0  # queries so far, with or without an answer
        self._slept_at = 0  # of them, when the thread last started: that answer may be hours old
        self._hurry = False
        self._closed = False
        self._latest: Latest[Value] = Latest(None, 0, "")

    def latest(self, wait_s: float = 0.0) -> Latest[Value]:
        """The last answer. If nobody viewed the page for a while, wait at most `wait_s` for a fresh one."""
        with self._turn:
            self._keep_running()
            if self._asked == self._slept_at and wait_s:
                self._turn.wait_for(lambda: self._asked > self._slept_at or self._closed, wait_s)
            last, asking_s = self._latest, self._asking_s
        if not last.error and asking_s is not None and time.monotonic() - asking_s > TIMEOUT_S:
            return last._replace(error=f"no answer for {time.monotonic() - asking_s:.0f} s")
        return last

    def renew(self, wait_s: float) -> Latest[Value]:
        """After a change: wait at most `wait_s` for the answer of a query that starts after this call."""
        with self._turn:
            self._keep_running()
            wanted = self._asked + (1 if self._asking_s is None else 2)  # a running query may have read before the change
            self._hurry = True
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._asked >= wanted or self._closed, wait_s)
        return self.latest()

    def close(self) -> None:
        """End the thread after its current query."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()

    def _keep_running(self) -> None:
        self._viewed_s = time.monotonic()
        if self._thread is None and not self._closed:
            self._slept_at = self._asked
            self._thread = threading.Thread(target=self._run, name=f"poll-{self._name}", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._turn:
                self._asking_s, self._hurry = time.monotonic(), False
            began_s = time.monotonic()
            try:
                value, error = self._ask(), ""
            except Exception as fault:  # noqa: BLE001 - the page shows any error, and the query runs again
                value, error = None, f"{fault}" or type(fault).__name__
            took_s = time.monotonic() - began_s
            with self._turn:
                self._asking_s = None
                self._asked += 1
                self._latest = self._latest._replace(error=error) if error else Latest(value, self._clock(), "")
                self._turn.notify_all()
                self._turn.wait_for(lambda: self._hurry or self._closed, max(self._every_s, took_s * (1 / self._share - 1)))
                if self._closed or (time.monotonic() - self._viewed_s > self._idle_s and not self._hurry):
                    self._thread = None
                    return
