"""Destroys clients of librdkafka in a thread of ours.

librdkafka calls into Python from its own threads, to complete an answer. If the garbage collector runs there and finds an unreferenced
client (an old traceback had held it), destroying it there aborts the whole process. So this module holds a reference to every client
and drops it in one thread, when it is the last.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TypeVar

LOOK_S = 1.0
OURS = 3
"""References to a client that only this module holds: the list, the loop variable, the argument of `getrefcount`."""

Client = TypeVar("Client")
_held: list[object] = []
_lock = threading.Lock()
_reaper: threading.Thread | None = None


def held(client: Client) -> Client:
    """The client, which will be destroyed in the right thread.

    >>> class Client: ...
    >>> used = held(Client())
    >>> [type(one).__name__ for one in _unused()], used in _held
    ([], True)
    """
    global _reaper
    with _lock:
        _held.append(client)
        if _reaper is None:
            _reaper = threading.Thread(target=_reap, name="kafka-reaper", daemon=True)
            _reaper.start()
    return client


def _reap() -> None:
    while True:
        time.sleep(LOOK_S)
        unused = _unused()
        del unused  # the last references: the clients are destroyed here


def _unused() -> list[object]:
    """Removes and returns the clients that only this module holds."""
    with _lock:
        unused = [client for client in _held if sys.getrefcount(client) <= OURS]
        if unused:
            ids = {id(client) for client in unused}
            _held[:] = [client for client in _held if id(client) not in ids]
    return unused
