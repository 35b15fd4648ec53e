"""One small HTTP server per process, in a thread of its own, so that it answers while the part is busy.

    GET /metrics   Prometheus' text format or OpenMetrics, as the caller asks
    GET /health    200 = alive: its main loop makes progress; else 503
    GET /ready     200 = does its work; else 503: {"ready": ..., "why": ...}

A port in use never stops a part: the part logs it, works on, and tries again until the port is free.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ringfence.ops import ports, redaction
from switches import gate

MAX_CONNECTIONS = 16
"""At the limit, the oldest connection without a request is closed for a new one, or else the oldest."""
CONNECTION_LIFE_S = 30.0
"""Longest life of a connection, whatever it sends."""
RETRY_S = 10.0
CLOSE_TIMEOUT_S = 5.0
"""How long `close` waits for the server's thread."""

log = structlog.get_logger("ringfence.telemetry")


class Answers(NamedTuple):
    """What the server answers from. The two functions return a reason, or "" if there is none."""

    registry: CollectorRegistry
    not_alive_reason: Callable[[], str]
    not_ready_reason: Callable[[], str]


class Server:
    """Serves until the process ends, or `close`. Port 0 takes a free one. `url` is "" while the port is in use."""

    def __init__(self, host: str, port: int, answers: Answers, retry_s: float = RETRY_S) -> None:
        self._host, self._port, self._app, self._again_s = host, port, app(answers), retry_s
        self._closed = threading.Event()
        self._socket: socket.socket | None = None
        self.url = ""
        try:
            self._listen()
        except OSError as error:
            log.error(
                "the port for metrics, health and readiness cannot be opened: the part works on without it and tries again",
                address=f"{host}:{port}", error=error.strerror, setting="RINGFENCE_METRICS_PORT, RINGFENCE_METRICS_HOST",
            )  # fmt: skip
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        self._socket = gate.bound(self._host, self._port)
        self._socket.listen(gate.BACKLOG)
        self.url = ports.url(self._host, self._socket.getsockname()[1])

    def _run(self) -> None:
        while self._socket is None:
            if self._closed.wait(self._again_s):
                return
            try:
                self._listen()
                log.info("metrics, health and readiness are served now", url=self.url)
            except OSError:
                continue
        connections = gate.Gate(gate.Places(strangers=MAX_CONNECTIONS, of_source=MAX_CONNECTIONS, stranger_s=CONNECTION_LIFE_S))
        config = gate.config(self._app, connections, lifespan="off", timeout_graceful_shutdown=1)
        with self._socket:
            gate.Server(config, stop=self._closed.is_set).run([self._socket])

    def close(self) -> None:
        self._closed.set()
        self._thread.join(CLOSE_TIMEOUT_S)


def app(answers: Answers) -> Starlette:
    """The three endpoints. They run in threads: one that hangs does not delay other callers."""

    def metrics(request: Request) -> Response:
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        try:
            return Response(encode(answers.registry), media_type=kind)
        except Exception:  # a bug of ours: it is logged, and the part works on
            log.exception("the metrics could not be collected")
            return JSONResponse({"error": "the metrics could not be collected; the log has the traceback"}, 500)

    def health(_: Request) -> Response:
        return _state("alive", answers.not_alive_reason())

    def ready(_: Request) -> Response:
        return _state("ready", answers.not_ready_reason())

    endpoints: tuple[Callable[[Request], Any], ...] = (metrics, health, ready)
    return Starlette(routes=[Route(f"/{endpoint.__name__}", endpoint) for endpoint in endpoints])


def _state(name: str, why: str) -> Response:
    answer = {name: not why, "why": redaction.text(why)}
    return JSONResponse(answer, 503 if why else 200, headers={"Cache-Control": "no-store"})
