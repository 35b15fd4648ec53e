"""The last good answer of a question, kept fresh by a thread of its own while somebody looks.

The page never waits for a warehouse: it shows what is known, how old that is, and what was wrong since. However many people look, a
question is asked once; when nobody looks, it is not asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")

IDLE_S = 30.0
"""Nobody has looked for so long: the thread ends, and the next look starts another one."""
PATIENCE_S = 6.0
"""A question that is under way for longer counts as one that is not answered."""
SHARE = 0.2
"""Of the time may go into asking: a question that takes long is asked less often."""


class Latest(NamedTuple, Generic[Value]):
    """What is known: the last good answer (None = there was none yet), when it was given, and what is wrong now ("" = nothing)."""

    value: Value | None
    at_ms: int
    error: str


class Polled(Generic[Value]):
    """`ask` raises what is wrong, as one of `faults`; another error is a fault of ours and is shown as one, with its name."""

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
        self._looked_s = 0.0
        self._asking_s: float | None = None
        self._asked = 0  # answers so far, good or bad
        self._slept_at = 0  # of them, when the thread last began: what was known then may be hours old
        self._hurry = False
        self._closed = False
        self._seen: Latest[Value] = Latest(None, 0, "")

    def seen(self, wait_s: float = 0.0) -> Latest[Value]:
        """What is known now. Where nobody has looked for a while, a fresh answer is waited for, so long at most."""
        with self._turn:
            self._look()
            if self._asked == self._slept_at and wait_s:
                self._turn.wait_for(lambda: self._asked > self._slept_at or self._closed, wait_s)
            seen, asking_s = self._seen, self._asking_s
        if not seen.error and asking_s is not None and time.monotonic() - asking_s > PATIENCE_S:
            return seen._replace(error=f"no answer for {time.monotonic() - asking_s:.0f} s")
        return seen

    def renew(self, wait_s: float) -> Latest[Value]:
        """After a change that should be seen at once: an answer to a question that was asked after this call, or what is known by then."""
        with self._turn:
            self._look()
            wanted = self._asked + (
                1 if self._asking_s is None else 2
            )  # what is under way may have been answered before the change
            self._hurry = True
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._asked >= wanted or self._closed, wait_s)
        return self.seen()

    def close(self) -> None:
        """The thread ends with what it is asking."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()

    def _look(self) -> None:
        self._looked_s = time.monotonic()
        if self._thread is None and not self._closed:
            self._slept_at = self._asked
            self._thread = threading.Thread(target=self._run, name=f"kept-{self._name}", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._turn:
                self._asking_s, self._hurry = time.monotonic(), False
            began_s = time.monotonic()
            try:
                value, error = self._ask(), ""
            except Exception as fault:  # noqa: BLE001 - whatever it is, the page shows it, and it is asked again
                value, error = None, f"{fault}" or type(fault).__name__
            took_s = time.monotonic() - began_s
            with self._turn:
                self._asking_s = None
                self._asked += 1
                self._seen = self._seen._replace(error=error) if error else Latest(value, self._clock(), "")
                self._turn.notify_all()
                self._turn.wait_for(lambda: self._hurry or self._closed, max(self._every_s, took_s * (1 / self._share - 1)))
                if self._closed or (time.monotonic() - self._looked_s > self._idle_s and not self._hurry):
                    self._thread = None
                    return
