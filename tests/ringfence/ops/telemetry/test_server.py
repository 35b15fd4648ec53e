"""The small server of each part: it answers while the part is busy, waits for nobody, and never stops the part."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from strangers import SHAPES, cut_off, half_a_head, strangers
from until import until

from ringfence.ops.heartbeat import HANGS_S
from ringfence.ops.telemetry import Metrics, Polled, Positions, Sample, catalog, start_telemetry
from ringfence.ops.telemetry.server import MAX_CONNECTIONS, Answers, Server
from ringfence.settings import Settings

RELEASE = version("ringfence")


class StubPart:
    """A part that counts reported strings and has the samples that the test sets."""

    def __init__(self, why: str = "") -> None:
        self.metrics, self.positions, self.why = Metrics(), Positions(), why
        self.current: list[Sample] = []

    def report(self, value: object) -> None:
        assert isinstance(value, str)
        self.metrics.add(catalog.RECORDS, 1, value)

    def samples(self) -> Iterable[Sample]:
        return self.current

    def not_ready_reason(self) -> str:
        return self.why


def settings(home: Path, port: int = 0) -> Settings:
    return Settings(home=home, metrics_port=port)


def get(url: str, **headers: str) -> httpx2.Response:
    with httpx2.Client(timeout=10, trust_env=False) as client:
        return client.get(url, headers=headers)


def test_health_readiness_and_metrics(tmp_path: Path):
    part = StubPart()
    telemetry = start_telemetry(settings(tmp_path), "judge", part)
    telemetry.report("rated")
    telemetry.report("rated")
    with pytest.raises(ValueError, match="ringfence_records_total has the labels"):
        part.metrics.add(catalog.RECORDS, 1)
    try:
        assert get(telemetry.server.url + "/health").json() == {"alive": True, "why": ""}
        assert get(telemetry.server.url + "/ready").json() == {"ready": True, "why": ""}
        text = get(telemetry.server.url + "/metrics")
        assert text.headers["content-type"].startswith("text/plain")
        assert 'ringfence_records_total{disposition="rated"} 2.0' in text.text
        assert f'ringfence_build_info{{version="{RELEASE}"}} 1.0' in text.text and "ringfence_ready 1.0" in text.text
        assert "process_resident_memory_bytes" in text.text and "python_gc_collections_total" in text.text

        part.why = "the journal is down"
        answer = get(telemetry.server.url + "/ready")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "why": "the journal is down"})
        assert "ringfence_ready 0.0" in get(telemetry.server.url + "/metrics").text
        assert get(telemetry.server.url + "/health").status_code == 200

        assert get(telemetry.server.url + "/secrets").status_code == 404
        with httpx2.Client(trust_env=False) as client:
            assert [client.post(telemetry.server.url + path).status_code for path in ("/metrics", "/ready")] == [405, 405]
    finally:
        telemetry.server.close()


def test_openmetrics_is_served_on_request(tmp_path: Path):
    telemetry = start_telemetry(settings(tmp_path), "judge", StubPart())
    telemetry.report("event")
    try:
        answer = get(telemetry.server.url + "/metrics", accept="application/openmetrics-text; version=1.0.0")
    finally:
        telemetry.server.close()
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["ringfence_records"].samples[0].value == 1 and answer.text.endswith("# EOF\n")


def test_a_loop_without_progress_is_neither_alive_nor_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    telemetry = start_telemetry(settings(tmp_path), "judge", StubPart())
    try:
        monkeypatch.setattr(telemetry.beat, "silent_s", lambda: HANGS_S + 5)
        for path in ("/health", "/ready"):
            answer = get(telemetry.server.url + path)
            assert answer.status_code == 503 and answer.json()["why"] == "its main loop has made no progress for 65 s"
        monkeypatch.undo()
        assert get(telemetry.server.url + "/health").status_code == 200
    finally:
        telemetry.server.close()


def test_a_wrong_report_is_logged_and_does_not_stop_the_part(tmp_path: Path):
    telemetry = start_telemetry(settings(tmp_path), "judge", StubPart())
    try:
        telemetry.report(7)
        telemetry.report("rated")
        assert 'disposition="rated"} 1.0' in get(telemetry.server.url + "/metrics").text
    finally:
        telemetry.server.close()


def test_a_bug_while_metrics_are_collected_is_an_http_500(tmp_path: Path):
    part = StubPart()
    telemetry = start_telemetry(settings(tmp_path), "judge", part)
    try:
        part.current = [Sample(catalog.SPOOL_BYTES, 1, ("a label too many",))]
        assert get(telemetry.server.url + "/metrics").status_code == 500
        part.current = []
        assert get(telemetry.server.url + "/metrics").status_code == 200
    finally:
        telemetry.server.close()


def test_a_port_in_use_is_tried_until_it_is_free(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answers = Answers(Metrics(), lambda: "", lambda: "")  # type: ignore[arg-type]
        server = Server("127.0.0.1", port, answers, retry_s=0.05)
        assert server.url == "", "the part goes on without"
    until(lambda: server.url, 15)
    assert get(f"http://127.0.0.1:{port}/ready").status_code == 200
    server.close()


def test_silent_connections_do_not_delay_others(tmp_path: Path):
    telemetry = start_telemetry(settings(tmp_path), "judge", StubPart())
    port = int(telemetry.server.url.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(MAX_CONNECTIONS - 1)]
    try:
        until(lambda: get(telemetry.server.url + "/health").status_code == 200, 15)
    finally:
        for one in silent:
            one.close()
        telemetry.server.close()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_strangers_at_the_connection_limit_do_not_delay_others(tmp_path: Path, shape: Callable[[int], bytes]):
    telemetry = start_telemetry(settings(tmp_path), "judge", StubPart())
    with strangers(int(telemetry.server.url.rpartition(":")[2]), 4 * MAX_CONNECTIONS, shape):
        for path in ("/health", "/ready", "/metrics"):
            assert get(telemetry.server.url + path).status_code == 200
    telemetry.server.close()


def test_a_connection_that_sends_a_byte_now_and_then_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ringfence.ops.telemetry.server.CONNECTION_LIFE_S", 0.5)
    telemetry = start_telemetry(settings(tmp_path), "judge", StubPart())
    with strangers(int(telemetry.server.url.rpartition(":")[2]), 4, half_a_head) as lines:
        until(lambda: all(map(cut_off, lines)), 20)
    telemetry.server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_port_can_be_opened_again_at_once(host: str):
    """Who has answered and ended holds its port in TIME_WAIT; the part that is started again serves on it all the same."""
    answers = Answers(Metrics(), lambda: "", lambda: "")  # type: ignore[arg-type]
    try:
        first = Server(host, 0, answers)
        assert first.url
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = int(first.url.rpartition(":")[2])
    for _ in range(3):
        assert get(f"{first.url}/ready").status_code == 200  # the server ends the connection: its side waits
        first.close()
        first = Server(host, port, answers, retry_s=600)
        assert first.url, "at once, not at the next try"
    first.close()


def test_the_port_of_a_killed_process_is_free(tmp_path: Path):
    program = (
        "import time, sys\nfrom prometheus_client import CollectorRegistry\nfrom ringfence.ops.telemetry.server import Answers, Server\n"
        "one = Server('127.0.0.1', int(sys.argv[1]), Answers(CollectorRegistry(), lambda: '', lambda: ''))\n"
        "print(one.url, flush=True)\ntime.sleep(600)\n"
    )
    port = "0"
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", program, port], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            try:
                assert url, "the port is taken"
                assert get(f"{url}/ready").status_code == 200
                with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as line:
                    line.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
                    process.kill()  # while somebody is connected
            finally:
                process.kill()
        port = url.rpartition(":")[2]


def test_it_answers_while_the_part_is_busy(tmp_path: Path):
    """The main thread computes and never sleeps."""
    program = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from test_server import StubPart, settings
from pathlib import Path
from ringfence.ops.telemetry import start_telemetry
telemetry = start_telemetry(settings(Path({str(tmp_path)!r})), "judge", StubPart())
print(telemetry.server.url, flush=True)
while True:
    sum(range(10_000))
"""
    busy = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert busy.stdout is not None
    try:
        url = busy.stdout.readline().strip()
        assert url, "it did not start"
        for path in ("/metrics", "/health", "/ready"):
            assert get(url + path).status_code == 200
    finally:
        busy.kill()
        busy.wait()
        busy.stdout.close()


def test_a_read_that_hangs_is_waited_for_once_and_the_last_value_has_an_age():
    hang = threading.Event()
    answers = iter([1, 2, 3])

    def slow() -> int:
        hang.wait(20)
        return next(answers)

    hang.set()
    books = Polled("books", slow, fresh_s=0.0, wait_s=0.2)
    assert books.value() == 1 and not books.fault
    hang.clear()
    began = time.monotonic()
    assert books.value() == 1 and books.fault == "no answer for 0.2 s"
    assert time.monotonic() - began < 5 and books.age_s() > 0
    assert books.value() == 1 and sum(thread.name == "poll-books" for thread in threading.enumerate()) == 1
    hang.set()
    until(lambda: books.value() >= 2, 15)
    assert not books.fault


def test_a_fresh_value_is_shared():
    reads = []
    journal = Polled("journal", lambda: reads.append(1), fresh_s=60)
    threads = [threading.Thread(target=journal.value) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(reads) == 1
