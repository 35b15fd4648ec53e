"""Listens for the read-only server of the embedded warehouse (`warehouse.server`), in a thread of the process that holds it."""

from __future__ import annotations

import ipaddress
import threading
from pathlib import Path

from switches import gate
from warehouse import WarehouseError
from warehouse.server import Limits, Reader

DRAIN_S = 5
"""How long queries that are running may go on after `close`."""


class Server(gate.Background):
    """A running server at `url`."""

    def __init__(self, directory: Path, address: str, port: int, token: str, limits: Limits) -> None:
        places = gate.Places(
            strangers=limits.strangers, of_source=limits.strangers, stranger_s=limits.stranger_s, trusted=limits.connections,
            shut_when_full=True, trust_s=limits.wait_s + limits.time_s + limits.idle_s, stalled_s=limits.idle_s,
        )  # fmt: skip
        door = gate.Gate(places)
        app = Reader(directory, token, limits, door.trust).app()
        listener = gate.bound(address, port)
        self.port = int(listener.getsockname()[1])
        self.url = f"http://{f'[{address}]' if ':' in address else address}:{self.port}"
        super().__init__("warehouse-server", app, door, listener, threading.Event(), DRAIN_S, timeout_keep_alive=int(limits.idle_s))


def serve(directory: Path, host: str, port: int, token: str, limits: Limits = Limits()) -> Server:
    """Starts the server of the embedded warehouse in `directory`, which this process must have open. Port 0 = a free one."""
    try:
        address = ipaddress.ip_address({"localhost": "127.0.0.1"}.get(host, host))
    except ValueError:
        raise WarehouseError(f"the read-only server listens on a loopback address, and {host!r} is none") from None
    if not address.is_loopback:
        raise WarehouseError(
            f"the read-only server listens on loopback only, not on {host}: its token is sent unencrypted. "
            "Put a proxy with TLS before it, or run ClickHouse itself"
        )
    try:
        return Server(directory, str(address), port, token, limits)
    except OSError as error:
        raise WarehouseError(f"the read-only server cannot listen on {host}:{port}: {error}") from error
