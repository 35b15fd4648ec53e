"""Clients of librdkafka end in a thread of ours.

librdkafka calls into Python from threads of its own, to complete an answer. When the garbage collector happens to run there and meets
a client that nobody uses any more (an old traceback had held it), destroying it there aborts the whole process. So every client is
held here from its making on, and is let go by one thread, when nobody else holds it.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TypeVar

LOOK_S = 1.0
OURS = 3
"""References of a client that only this module knows: the list, the name in the loop over it, the argument of `getrefcount`."""

Client = TypeVar("Client")
_held: list[object] = []
_lock = threading.Lock()
_reaper: threading.Thread | None = None


def held(client: Client) -> Client:
    """The client, which will end in the right thread.

    >>> class Client: ...
    >>> used = held(Client())
    >>> [type(one).__name__ for one in _unused()], used in _held
    ([], True)
    """
    global _reaper
    with _lock:
        _held.append(client)
        if _reaper is None:
            _reaper = threading.Thread(target=_let_go, name="kafka-reaper", daemon=True)
            _reaper.start()
    return client


def _let_go() -> None:
    while True:
        time.sleep(LOOK_S)
        unused = _unused()
        del unused  # with the last reference to each: they end here


def _unused() -> list[object]:
    """Takes out those that nobody holds but this module."""
    with _lock:
        unused = [client for client in _held if sys.getrefcount(client) <= OURS]
        if unused:
            ids = {id(client) for client in unused}
            _held[:] = [client for client in _held if id(client) not in ids]
    return unused
