"""Ports that nobody uses at this moment."""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Ports of this machine, all different, free for TCP and for UDP on every address of it.

    >>> len({*free_ports(3)})
    3
    """
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            tcp = held.enter_context(socket.socket())
            udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            tcp.bind(("0.0.0.0", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            found.append(int(tcp.getsockname()[1]))
        return found


def free_port() -> int:
    return free_ports(1)[0]
