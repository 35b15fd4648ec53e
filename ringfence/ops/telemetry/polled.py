"""A value from something that may hang (the journal, the books): a scrape waits a bounded time for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

FRESH_S = 1.0
"""A younger value is not read again."""

WAIT_S = 1.0
"""A scrape waits this long for a new value; then it gets the last one, with its age."""


class Polled(Generic[Value]):
    """`value()` reads again, in a thread of its own, if the last value is old. One read at a time, however many callers.

    >>> books = Polled("books", lambda: 7)
    >>> books.value(), books.fault
    (7, '')
    >>> away = Polled("books", lambda: 1 / 0)
    >>> away.value(), away.fault, away.age_s()
    (None, 'ZeroDivisionError: division by zero', -1.0)
    """

    def __init__(self, name: str, read: Callable[[], Value], fresh_s: float = FRESH_S, wait_s: float = WAIT_S) -> None:
        self.name = name
        self.fault = ""  # why the last read failed; "" = it did not
        self._read, self._fresh_s, self._wait_s = read, fresh_s, wait_s
        self._changed = threading.Condition()
        self._reading = False
        self._value: Value | None = None
        self._read_s: float | None = None
        self._tried_s: float | None = None

    def value(self) -> Value | None:
        """The last value; None = none yet."""
        with self._changed:
            if self._tried_s is not None and time.monotonic() - self._tried_s < self._fresh_s:
                return self._value
            if not self._reading:
                self._reading = True
                threading.Thread(target=self._run, name=f"poll-{self.name}", daemon=True).start()
            if not self._changed.wait_for(lambda: not self._reading, self._wait_s):
                self.fault = f"no answer for {self._wait_s:g} s"
            return self._value

    def age_s(self) -> float:
        """Seconds since the last successful read; -1 = none yet."""
        return -1.0 if self._read_s is None else time.monotonic() - self._read_s

    def _run(self) -> None:
        fault, value = "", None
        try:
            value = self._read()
        except Exception as error:  # noqa: BLE001 - any failure of the source is the answer
            fault = f"{type(error).__name__}: {error}"[:300]
        with self._changed:
            self._tried_s = time.monotonic()
            self.fault = fault
            if not fault:
                self._value, self._read_s = value, self._tried_s
            self._reading = False
            self._changed.notify_all()
