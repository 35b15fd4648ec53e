"""One small server a process, in threads of its own, so that it answers while the part is busy.

    GET /metrics   Prometheus' text format or OpenMetrics, as the caller asks
    GET /health    200 = alive: its loop went round lately; else 503
    GET /ready     200 = does its work, else 503; {"ready": ..., "why": ...}

A port that is taken never stops a part from protecting calls: it is said, and tried again until the port is free.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

import msgspec
import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app

from core.newcomers import Newcomers
from ringfence.ops import ports, redaction

MOST_AT_ONCE = 16
"""Connections; one more takes the place of the oldest that has not asked yet, or else of the oldest."""
REQUEST_S = 10.0
"""A caller that says nothing for so long is cut off."""
LIFE_S = 30.0
"""Of a connection, whatever it sends: a byte now and then keeps no place."""
AGAIN_S = 10.0

log = structlog.get_logger("ringfence.ops.telemetry")


class Answers(NamedTuple):
    """What the server says. The two functions say "" or why not."""

    registry: CollectorRegistry
    why_not_alive: Callable[[], str]
    why_not_ready: Callable[[], str]


def serve(host: str, port: int, answers: Answers, name: str) -> Server:
    """Serves until the process ends. 0 takes a free port. Where the port is taken it is tried again, every ten seconds."""
    return Server(host, port, answers, name)


class Server:
    """`url` is "" while the port cannot be had."""

    def __init__(self, host: str, port: int, answers: Answers, name: str, again_s: float = AGAIN_S) -> None:
        self._host, self._port, self._app, self._name, self._again_s = host, port, app(answers), name, again_s
        self._closed = threading.Event()
        self._served: _Server | None = None
        self.url = ""
        try:
            self._listen()
        except OSError as error:
            log.error(
                "the port for metrics, health and readiness cannot be had: the part works on without, and tries it again",
                address=f"{host}:{port}", error=error.strerror, setting="RINGFENCE_METRICS_PORT, RINGFENCE_METRICS_HOST",
            )  # fmt: skip
        threading.Thread(target=self._run, name="seen", daemon=True).start()

    def _listen(self) -> None:
        served = _Server((self._host, self._port), _Handler)
        served.set_app(self._app)
        self._served = served
        self.url = ports.url(self._host, served.server_port)

    def _run(self) -> None:
        while self._served is None:
            if self._closed.wait(self._again_s):
                return
            try:
                self._listen()
                log.info("metrics, health and readiness are served after all", url=self.url)
            except OSError:
                continue
        self._served.serve_forever(poll_interval=0.5)

    def close(self) -> None:
        self._closed.set()
        if self._served is not None:
            self._served.shutdown()
            self._served.server_close()


def app(answers: Answers) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """The three addresses."""
    metrics = make_wsgi_app(answers.registry)

    def respond(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        try:
            return answer(environ, start)
        except Exception:  # ours: it must be in the log, and the part goes on
            log.exception("the figures could not be told", path=environ.get("PATH_INFO", "")[:100])
            return _json(start, "500 Internal Server Error", {"error": "the log says why"})

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics(environ, start)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _json(start, "405 Method Not Allowed", {"error": "GET alone"})
        if path == "/health":
            why = answers.why_not_alive()
            return _json(start, _status(why), {"alive": not why, "why": redaction.text(why)})
        if path == "/ready":
            why = answers.why_not_ready()
            return _json(start, _status(why), {"ready": not why, "why": redaction.text(why)})
        return _json(start, "404 Not Found", {"error": "there are /metrics, /health and /ready"})

    return respond


def _status(why: str) -> str:
    return "503 Service Unavailable" if why else "200 OK"


def _json(start: StartResponse, status: str, answer: dict[str, Any]) -> list[bytes]:
    body = msgspec.json.encode(answer)
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 1024  # at a full queue the kernel drops a caller's first packet, and it tries again after a second

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self._callers = Newcomers[socket.socket](MOST_AT_ONCE, MOST_AT_ONCE, LIFE_S)
        self._mutex = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """As the library's, without asking the name service for our own name: that may take its time."""
        # What a server before us has answered keeps the port for a minute: without this a part that is started again goes without.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._mutex:
            evicted = self._callers.arrive(request, client_address[0], time.monotonic())
            if evicted is not None:
                _hang_up(evicted)
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        with self._mutex:
            for caller in self._callers.overdue(time.monotonic()):
                _hang_up(caller)

    def asks(self, request: socket.socket) -> None:
        """The head of a request is here."""
        with self._mutex:
            self._callers.ask(request)

    def shutdown_request(self, request: Any) -> None:
        with self._mutex:
            self._callers.leave(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):  # it went away: a traceback would cost more than an answer
            log.debug("a caller of the metrics' port went away", error=repr(error))
        else:
            log.warning("a caller of the metrics' port could not be answered", exc_info=True)


def _hang_up(request: socket.socket) -> None:
    """Its own thread finds it ended, and closes it."""
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:
        log.debug("a caller of the metrics' port was gone already")


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_S
    server: _Server

    def parse_request(self) -> bool:
        understood = super().parse_request()
        if understood:
            self.server.asks(self.connection)
        return understood

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        """Each scrape in the log would be a line every few seconds."""
