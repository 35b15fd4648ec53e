"""One protocol for every way to ask where a number was ported to, its cache, and what counts when it does not answer."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple, Protocol

from core.config import Portability


class DipError(Exception):
    """It did not answer in time, or not as agreed."""


class Dip(Protocol):
    """A source of ported numbers."""

    def ask(self, number: str) -> str:
        """Where an E.164 number was ported to; "" = it was not. Raises `DipError` within its time-out."""
        ...


class Answer(NamedTuple):
    """`lrn` "" = not ported, or not known. `failed` says why it is not known; where `closed`, the call is then refused."""

    lrn: str = ""
    failed: str = ""
    closed: bool = False


MOST_CACHED = 1_000_000
FAILED_S = 5.0
"""How long a failure is remembered: a server that hangs is not asked again for every call."""


@dataclass(eq=False)
class Cached:
    """A source with its cache, by the row of the config. Safe for several threads."""

    row: Portability
    dip: Dip
    clock_s: Callable[[], float] = time.monotonic
    _answers: OrderedDict[str, tuple[float, Answer]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)
    _failed: tuple[float, str] = (-1e9, "")

    def known(self, number: str) -> Answer | None:
        """The answer that is cached; None = it must be asked."""
        now_s = self.clock_s()
        with self._lock:
            until_s, answer = self._answers.get(number, (0.0, None))
            if answer is not None and now_s < until_s:
                return answer
            if now_s < self._failed[0] + FAILED_S:
                return self._failure(self._failed[1])
        return None

    def ask(self, number: str) -> Answer:
        """The answer, cached or asked; never an error."""
        if (known := self.known(number)) is not None:
            return known
        try:
            answer = Answer(self.dip.ask(number))
        except DipError as error:
            with self._lock:
                self._failed = self.clock_s(), str(error)
            return self._failure(str(error))
        with self._lock:
            self._answers[number] = self.clock_s() + self.row.cache_s, answer
            if len(self._answers) > MOST_CACHED:
                self._answers.popitem(last=False)
        return answer

    def _failure(self, why: str) -> Answer:
        return Answer("", f"portability {self.row.name}: {why}", self.row.fails == "closed")
