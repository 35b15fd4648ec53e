"""Connections to our asyncio HTTP servers: those without a token never crowd out those with one.

uvicorn's own limit (`limit_concurrency`) counts connections before a token is looked at, and has no time limit for the head of a request:
a hundred silent connections shut it. Here each connection begins as a stranger, in a bounded number of places (`core.newcomers`) and for a
bounded time, whatever it sends or does not read. The application calls `trust` when a request has shown a good token.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.newcomers import Newcomers, plain_address

PEER = "ringfence.peer"
"""In a request's scope: (address, port) of the connection itself, whatever a proxy says of its client."""
ACCEPT_AT_ONCE = 16
"""Connections that the loop accepts in one round. A good caller's request is read two rounds later: it must not be evicted before that."""
BACKLOG = 4096
"""Connections that the kernel keeps until they are accepted."""
SWEEP_S = 0.5


@dataclass(frozen=True)
class Places:
    """How many connections there may be, and for how long."""

    strangers: int = 256  # without a token; a newcomer replaces the oldest silent one
    of_source: int = 128  # of those, from one address (IPv6: one /64)
    stranger_s: float = 10.0  # without a token, from its begin or its last request: then it is cut
    trusted: int = 256  # with a token; one more is not trusted, and is answered 503 by who asks
    shut_when_full: bool = False  # while there are so many with a token, a new connection is cut at once
    trust_s: float = 120.0  # from a good request on; then it is a stranger again
    stalled_s: float = 30.0  # who does not read an answer for so long is cut


class Peer(NamedTuple):
    address: str
    port: int


@dataclass
class _Line:
    transport: asyncio.Transport
    trusted_to_s: float | None = None  # None = a stranger
    unread_since_s: float | None = None


class Gate:
    """Of one server, and of its loop."""

    def __init__(self, places: Places = Places(), now_s: Callable[[], float] = time.monotonic) -> None:
        self._places, self._now_s = places, now_s
        self._lines: dict[Peer, _Line] = {}
        self._strangers = Newcomers[Peer](places.strangers, places.of_source, places.stranger_s)
        self._sweeping = False

    def protocol(self) -> type[asyncio.Protocol]:
        """uvicorn's HTTP/1.1, which tells this gate of each connection."""
        gate = self

        class Gated(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                gate.arrived(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                gate.left(self.transport)
                super().connection_lost(exc)

        return Gated

    def arrived(self, transport: asyncio.Transport) -> None:
        """A new connection, a stranger."""
        if self._places.shut_when_full and self._full():
            transport.abort()
            return
        peer = _peer(transport)
        self._lines[peer] = _Line(transport)
        self._admit(peer)
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def left(self, transport: asyncio.Transport) -> None:
        peer = _peer(transport)
        if (line := self._lines.get(peer)) is not None and line.transport is transport:
            self._forget(peer)

    def asks(self, scope: Scope) -> None:
        """The head of a request is here."""
        if (peer := scope.get(PEER)) is not None:
            self._strangers.ask(peer)

    def trust(self, scope: Scope, *, for_good: bool = False) -> bool:
        """The request has shown a good token. False: there is no place for one more that has. `for_good`: until its end."""
        peer = scope.get(PEER)
        line = self._lines.get(peer) if peer is not None else None
        if peer is None or line is None:
            return True  # it has ended already, or is no connection of this gate's
        if line.trusted_to_s is None and self._full():
            return False
        self._strangers.leave(peer)
        line.trusted_to_s = float("inf") if for_good else self._now_s() + self._places.trust_s
        return True

    def distrust(self, scope: Scope) -> None:
        """A request on it has shown a wrong token: it is a stranger again."""
        peer = scope.get(PEER)
        line = self._lines.get(peer) if peer is not None else None
        if peer is not None and line is not None and line.trusted_to_s is not None:
            line.trusted_to_s = None
            self._admit(peer)

    def _full(self) -> bool:
        return len(self._lines) - len(self._strangers) >= self._places.trusted

    def _admit(self, peer: Peer) -> None:
        evicted = self._strangers.arrive(peer, peer.address, self._now_s())
        if evicted is not None:
            self._cut(evicted)

    def _sweep(self) -> None:
        now_s = self._now_s()
        for peer in self._strangers.overdue(now_s):
            self._cut(peer)
        for peer, line in list(self._lines.items()):
            unread = line.transport.get_write_buffer_size() > 0
            if line.transport.is_closing() and not unread:  # also what became a WebSocket, whose end nobody else tells us
                self._forget(peer)
            elif not unread:
                line.unread_since_s = None
            elif line.unread_since_s is None:
                line.unread_since_s = now_s
            elif now_s - line.unread_since_s >= self._places.stalled_s:
                self._cut(peer)
                continue
            if line.trusted_to_s is not None and line.trusted_to_s <= now_s and peer in self._lines:
                line.trusted_to_s = None
                self._admit(peer)
        self._sweeping = bool(self._lines)
        if self._sweeping:
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _cut(self, peer: Peer) -> None:
        """At once: an orderly end would wait for a peer that does not read."""
        line = self._lines.get(peer)
        self._forget(peer)
        if line is not None:
            line.transport.abort()

    def _forget(self, peer: Peer) -> None:
        self._lines.pop(peer, None)
        self._strangers.leave(peer)


def _peer(transport: asyncio.BaseTransport) -> Peer:
    name = transport.get_extra_info("peername") or ("", id(transport))
    return Peer(str(name[0]), int(name[1]))


class _Scopes:
    """ASGI middleware, the outermost: notes whose connection a request came by, and writes an address in its one spelling."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope.get("client"):
            host, port = scope["client"]
            scope[PEER] = Peer(host, port)
            scope["client"] = (plain_address(host), port)
            self._gate.asks(scope)
        await self._app(scope, receive, send)


class _OneSpelling:
    """ASGI middleware behind the proxies: the client's address that a proxy named, in its one spelling too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope.get("client"):
            scope["client"] = (plain_address(scope["client"][0]), scope["client"][1])
        await self._app(scope, receive, send)


def gated(app: ASGIApp, gate: Gate, trusted_proxies: tuple[str, ...] = ()) -> ASGIApp:
    """The application behind the gate. `X-Forwarded-For` and `-Proto` count only from `trusted_proxies` (addresses, networks); no other
    header, and no variable of the environment, says who a client is."""
    if trusted_proxies:
        app = ProxyHeadersMiddleware(_OneSpelling(app), list(trusted_proxies))  # type: ignore[arg-type, assignment]
    return _Scopes(app, gate)


def config(app: ASGIApp, gate: Gate, trusted_proxies: tuple[str, ...] = (), **more: Any) -> uvicorn.Config:
    """uvicorn's settings of all our servers: nothing in them comes from the environment."""
    return uvicorn.Config(
        gated(app, gate, trusted_proxies),
        http=gate.protocol(),
        loop="asyncio",
        proxy_headers=False,
        forwarded_allow_ips=[],
        workers=1,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=None,
        backlog=ACCEPT_AT_ONCE,
        **more,
    )


def bound(host: str, port: int) -> socket.socket:
    """A socket for a server to listen on, to be had also right after another process has left the port."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made


class Server(uvicorn.Server):
    """Says when it listens, and stops when it is asked to, as well as on a signal."""

    def __init__(
        self, config: uvicorn.Config, stop: Callable[[], bool] = lambda: False, listening: Callable[[int], None] | None = None
    ) -> None:
        super().__init__(config)
        self._stop, self._listening = stop, listening

    def run_at(self, host: str, port: int) -> None:
        """Serves there until it is stopped. Where the port cannot be had the process ends with one line, as uvicorn's own does."""
        try:
            at = bound(host, port)
        except OSError as error:
            raise SystemExit(f"{host}:{port} cannot be listened on: {error.strerror}. Name another address or port.") from error
        with at:
            self.run([at])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            sockets[0].listen(BACKLOG)  # the loop has told the kernel to keep no more than it accepts at once
            if self._listening:
                self._listening(sockets[0].getsockname()[1])

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stop()


class Background:
    """A server in a thread of its own, which listens when the constructor returns. `close()` or `closing` stops it."""

    def __init__(
        self, name: str, app: ASGIApp, gate: Gate, listener: socket.socket, closing: threading.Event, drain_s: int = 1, **more: Any
    ) -> None:
        """`drain_s`: how long running requests may take after the stop; idle connections end at once. `more`: arguments of `config`."""
        self._closing, self._socket, self._drain_s = closing, listener, drain_s
        listening = threading.Event()
        served = config(app, gate, ws="none", lifespan="off", timeout_graceful_shutdown=drain_s, **more)
        server = Server(served, closing.is_set, lambda _: listening.set())
        self._thread = threading.Thread(target=server.run, args=([listener],), name=name, daemon=True)
        self._thread.start()
        listening.wait(10)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(self._drain_s + 4)
        self._socket.close()
