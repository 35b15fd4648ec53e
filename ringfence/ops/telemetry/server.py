"""One small server per process, in a thread of its own, so that it answers while the part is busy.

    GET /metrics   Prometheus' text format or OpenMetrics, as the caller asks
    GET /health    200 = alive: its loop went round lately; else 503
    GET /ready     200 = does its work, else 503; {"ready": ..., "why": ...}

A port that is taken never stops a part from protecting calls: that is logged, and tried again until the port is free.
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

MOST_AT_ONCE = 16
"""Connections; one more takes the place of the oldest that has not asked yet, or else of the oldest."""
LIFE_S = 30.0
"""Of a connection, whatever it sends: a byte now and then keeps no place."""
AGAIN_S = 10.0
END_S = 5.0
"""How long `close` waits for the server's thread."""

log = structlog.get_logger("ringfence.telemetry")


class Answers(NamedTuple):
    """What the server answers. The two functions return "" or why not."""

    registry: CollectorRegistry
    why_not_alive: Callable[[], str]
    why_not_ready: Callable[[], str]


class Server:
    """Serves until the process ends, or `close`. Port 0 takes a free one. `url` is "" while the port cannot be had."""

    def __init__(self, host: str, port: int, answers: Answers, again_s: float = AGAIN_S) -> None:
        self._host, self._port, self._app, self._again_s = host, port, app(answers), again_s
        self._closed = threading.Event()
        self._socket: socket.socket | None = None
        self.url = ""
        try:
            self._listen()
        except OSError as error:
            log.error(
                "the port for metrics, health and readiness cannot be had: the part works on without, and tries it again",
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
                log.info("metrics, health and readiness are served after all", url=self.url)
            except OSError:
                continue
        door = gate.Gate(gate.Places(strangers=MOST_AT_ONCE, of_source=MOST_AT_ONCE, stranger_s=LIFE_S))
        config = gate.config(self._app, door, lifespan="off", timeout_graceful_shutdown=1)
        with self._socket:
            gate.Server(config, stop=self._closed.is_set).run([self._socket])

    def close(self) -> None:
        self._closed.set()
        self._thread.join(END_S)


def app(answers: Answers) -> Starlette:
    """The three addresses. Endpoints run in threads: a look at something that hangs keeps no other caller waiting."""

    def metrics(request: Request) -> Response:
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        try:
            return Response(encode(answers.registry), media_type=kind)
        except Exception:  # ours: it must be in the log, and the part goes on
            log.exception("the figures could not be collected")
            return JSONResponse({"error": "the log says why"}, 500)

    def health(_: Request) -> Response:
        return _state("alive", answers.why_not_alive())

    def ready(_: Request) -> Response:
        return _state("ready", answers.why_not_ready())

    endpoints: tuple[Callable[[Request], Any], ...] = (metrics, health, ready)
    return Starlette(routes=[Route(f"/{endpoint.__name__}", endpoint) for endpoint in endpoints])


def _state(name: str, why: str) -> Response:
    answer = {name: not why, "why": redaction.text(why)}
    return JSONResponse(answer, 503 if why else 200, headers={"Cache-Control": "no-store"})
