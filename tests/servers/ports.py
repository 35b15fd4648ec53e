"""Free ports outside of the range that Linux assigns to clients."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

OF_SERVERS = range(12_000, 32_000)
"""Below the range that Linux assigns to clients, so a restarted server finds its port free."""

_used: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports of this machine, never one that was returned before, free for TCP and for UDP on every address of it.

    >>> len({*free_ports(3)})
    3
    """
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = random.SystemRandom().choice(OF_SERVERS)  # not of the seed of a test: two processes would choose the same
            if port in _used:
                continue
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    held.enter_context(socket.socket(socket.AF_INET, kind)).bind(("0.0.0.0", port))
            except OSError:
                continue
            found.append(port)
            _used.add(port)
        return found


def free_port() -> int:
    return free_ports(1)[0]
