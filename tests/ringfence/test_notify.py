"""The notifier as a process: it tells of an alert once, also when it is killed in between, and it hears that others are silent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from books import alerts, notifications, open_books, reading, writing
from core.notify import Target
from core.orders import Finding
from ringfence.settings import Settings
from services import first_start
from services.notifying import targets

pytestmark = pytest.mark.real


@pytest.fixture
def hook() -> Iterator[tuple[list[tuple[str, dict]], str]]:
    got: list[tuple[str, dict]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append((self.headers["webhook-id"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield got, f"http://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    server.server_close()


def start(home: Path) -> subprocess.Popen[bytes]:
    env = os.environ | {"RINGFENCE_METRICS_PORT": "0"}
    return subprocess.Popen([sys.executable, "-P", "-m", "ringfence", "flow", "notify", "--home", str(home)], env=env)


def until(done, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def test_an_alert_is_told_once_though_the_notifier_is_killed(tmp_path: Path, hook: tuple[list[tuple[str, dict]], str]):
    got, url = hook
    settings = Settings(home=tmp_path / "home", tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    now_ms = round(time.time() * 1000)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), now_ms)
    engine = open_books(settings.books_dsn)
    with writing(engine) as conn:
        targets.add(conn, Target("ops", "webhook", url, who="ann", at_ms=now_ms), "w")

    def alert(name: str) -> None:
        at_ms = round(time.time() * 1000)
        finding = Finding(
            finding_id=name, tenant="t1", detector="burst", subject_kind="account", subject="acme", detected_at_ms=at_ms, first_ms=at_ms,
            last_ms=at_ms, calls=42, exposure_nanos=1, currency="EUR", score=2.0, reason="acme is sending 42 calls: 24 EUR.", example_call_ids=[],
        )  # fmt: skip
        with writing(engine) as conn:
            alerts.upsert(conn, finding, at_ms)

    def told(name: str) -> list[str]:
        return [webhook_id for webhook_id, body in got if body["data"]["about"] == name]

    first = start(settings.root)
    try:
        alert("f1")
        until(lambda: told("f1"))
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        second = start(settings.root)
        try:
            alert("f2")
            until(lambda: told("f2"), 100)  # when the lease of the killed one has run out
            assert len(set(told("f1"))) == 1 and len(told("f1")) <= 2 and len(told("f2")) == 1
            until(lambda: [body for _, body in got if body["type"] == "system.silent"], 120)  # nothing else of this installation runs
        finally:
            second.terminate()
            second.wait(20)
        with reading(engine) as conn:
            assert {one.state for one in notifications.last(conn)} == {"sent"}
    finally:
        first.kill()
        engine.dispose()
