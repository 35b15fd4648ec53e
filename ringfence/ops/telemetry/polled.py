"""A value of something that may hang (the journal, the books): a scrape waits a moment for it, never for good."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

FRESH_S = 1.0
"""What was read within so long is not looked at again."""

WAIT_S = 1.0
"""So long is waited for a new look; then what was read last is returned, with its age."""


class Polled(Generic[Value]):
    """`value()` looks anew, in a thread of its own, if the last look is old. One look at a time, however many ask.

    >>> books = Polled("books", lambda: 7)
    >>> books.value(), books.fault
    (7, '')
    >>> away = Polled("books", lambda: 1 / 0)
    >>> away.value(), away.fault, away.age_s()
    (None, 'ZeroDivisionError: division by zero', -1.0)
    """

    def __init__(self, name: str, look: Callable[[], Value], fresh_s: float = FRESH_S, wait_s: float = WAIT_S) -> None:
        self.name = name
        self.fault = ""  # why the last look failed, or ""
        self._look, self._fresh_s, self._wait_s = look, fresh_s, wait_s
        self._changed = threading.Condition()
        self._looking = False
        self._value: Value | None = None
        self._read_s: float | None = None
        self._looked_s: float | None = None

    def value(self) -> Value | None:
        """What was read last; None = nothing yet."""
        with self._changed:
            if self._looked_s is not None and time.monotonic() - self._looked_s < self._fresh_s:
                return self._value
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._run, name=f"look-{self.name}", daemon=True).start()
            if not self._changed.wait_for(lambda: not self._looking, self._wait_s):
                self.fault = f"no answer for {self._wait_s:g} s"
            return self._value

    def age_s(self) -> float:
        """Since the last look that saw something; -1 = none did."""
        return -1.0 if self._read_s is None else time.monotonic() - self._read_s

    def _run(self) -> None:
        fault, value = "", None
        try:
            value = self._look()
        except Exception as error:  # noqa: BLE001 - what is looked at may be away in any way: that is the answer
            fault = f"{type(error).__name__}: {error}"[:300]
        with self._changed:
            self._looked_s = time.monotonic()
            self.fault = fault
            if not fault:
                self._value, self._read_s = value, self._looked_s
            self._looking = False
            self._changed.notify_all()
