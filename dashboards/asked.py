"""Questions with arguments (one subject, one call, one period), answered in background threads and remembered for a while.

As with `polled`, drawing waits only a moment: a page shows what is known, and draws itself again while an answer is on its way. An answer
is keyed by its question, its tenant and its arguments. What a person may see is decided where it is drawn.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from dashboards.polled import Latest
from services.errors import ServiceError

Value = TypeVar("Value")

THREADS = 4
MOST = 256
"""Remembered answers: the one that was asked for longest ago is forgotten."""
FRESH_MS = 15_000


class _Entry(NamedTuple):
    latest: Latest[Any]
    running: Future[Any] | None


class Asked:
    """`clock` returns epoch milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="asked")
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, _Entry] = OrderedDict()

    def of(self, key: Hashable, ask: Callable[[], Value], wait_s: float = 1.5, fresh_ms: int = FRESH_MS) -> Latest[Value]:
        """The answer; one that is older than `fresh_ms` is asked for again. Waits at most `wait_s`, and only for the first answer."""
        with self._lock:
            entry = self._known.get(key, _Entry(Latest(None, 0, ""), None))
            old = self._clock() - entry.latest.at_ms >= fresh_ms
            if entry.running is None and (old or (entry.latest.value is None and not entry.latest.error)):
                entry = _Entry(entry.latest, self._pool.submit(self._answer, key, ask))
            self._known[key] = entry
            self._known.move_to_end(key)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        if entry.latest.value is None and entry.running is not None:
            try:
                entry.running.result(wait_s)
            except TimeoutError:
                pass
            with self._lock:
                entry = self._known.get(key, entry)
        return entry.latest

    def forget(self, *prefix: Hashable) -> None:
        """After a change: answers whose key begins so are asked for again; without a key all."""
        with self._lock:
            for key in [one for one in self._known if isinstance(one, tuple) and one[: len(prefix)] == prefix]:
                del self._known[key]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, key: Hashable, ask: Callable[[], Any]) -> None:
        refused = False
        try:
            value, error = ask(), ""
        except ServiceError as fault:
            value, error, refused = None, f"{fault}", True
        except Exception as fault:  # noqa: BLE001 - the page shows any error, and the question is asked again
            value, error = None, f"{fault}" or type(fault).__name__
        with self._lock:
            if key in self._known:
                before = self._known[key].latest
                latest = Latest(None if refused else before.value, before.at_ms, error, refused) if error else Latest(value, self._clock(), "")
                self._known[key] = _Entry(latest, None)
