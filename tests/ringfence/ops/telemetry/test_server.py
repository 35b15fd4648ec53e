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
from ringfence.ops.telemetry import Figures, Polled, Positions, Sample, catalog, start_telemetry
from ringfence.ops.telemetry.server import MOST_AT_ONCE, Answers, Server
from ringfence.settings import Settings

RELEASE = version("ringfence")


class Odd:
    """A part that is told strings, and looks at what the test hands it."""

    def __init__(self, why: str = "") -> None:
        self.figures, self.positions, self.why = Figures(), Positions(), why
        self.samples: list[Sample] = []

    def report(self, value: object) -> None:
        assert isinstance(value, str)
        self.figures.add(catalog.RECORDS, 1, value)

    def look(self) -> Iterable[Sample]:
        return self.samples

    def why_not(self) -> str:
        return self.why


def settings(home: Path, port: int = 0) -> Settings:
    return Settings(home=home, metrics_port=port)


def get(url: str, **headers: str) -> httpx2.Response:
    with httpx2.Client(timeout=10, trust_env=False) as client:
        return client.get(url, headers=headers)


def test_alive_ready_and_figures(tmp_path: Path):
    part = Odd()
    telemetry = start_telemetry(settings(tmp_path), "judge", part)
    telemetry.report("rated")
    telemetry.report("rated")
    with pytest.raises(ValueError, match="ringfence_records_total has the labels"):
        part.figures.add(catalog.RECORDS, 1)
    try:
        assert get(telemetry.server.url + "/health").json() == {"alive": True, "why": ""}
        assert get(telemetry.server.url + "/ready").json() == {"ready": True, "why": ""}
        text = get(telemetry.server.url + "/metrics")
        assert text.headers["content-type"].startswith("text/plain")
        assert 'ringfence_records_total{disposition="rated"} 2.0' in text.text
        assert f'ringfence_build_info{{version="{RELEASE}"}} 1.0' in text.text and "ringfence_ready 1.0" in text.text
        assert "process_resident_memory_bytes" in text.text and "python_gc_collections_total" in text.text

        part.why = "the journal is away"
        answer = get(telemetry.server.url + "/ready")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "why": "the journal is away"})
        assert "ringfence_ready 0.0" in get(telemetry.server.url + "/metrics").text
        assert get(telemetry.server.url + "/health").status_code == 200

        assert get(telemetry.server.url + "/secrets").status_code == 404
        with httpx2.Client(trust_env=False) as client:
            assert [client.post(telemetry.server.url + path).status_code for path in ("/metrics", "/ready")] == [405, 405]
    finally:
        telemetry.server.close()


def test_openmetrics_is_given_to_who_asks_for_it(tmp_path: Path):
    telemetry = start_telemetry(settings(tmp_path), "judge", Odd())
    telemetry.report("event")
    try:
        answer = get(telemetry.server.url + "/metrics", accept="application/openmetrics-text; version=1.0.0")
    finally:
        telemetry.server.close()
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["ringfence_records"].samples[0].value == 1 and answer.text.endswith("# EOF\n")


def test_a_loop_that_does_not_go_round_is_not_alive_and_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    telemetry = start_telemetry(settings(tmp_path), "judge", Odd())
    try:
        monkeypatch.setattr(telemetry.beat, "silent_s", lambda: HANGS_S + 5)
        for path in ("/health", "/ready"):
            answer = get(telemetry.server.url + path)
            assert answer.status_code == 503 and answer.json()["why"] == "its loop has not gone round for 65 s"
        monkeypatch.undo()
        assert get(telemetry.server.url + "/health").status_code == 200
    finally:
        telemetry.server.close()


def test_what_is_told_wrongly_is_logged_and_stops_nobody(tmp_path: Path):
    telemetry = start_telemetry(settings(tmp_path), "judge", Odd())
    try:
        telemetry.report(7)
        telemetry.report("rated")
        assert 'disposition="rated"} 1.0' in get(telemetry.server.url + "/metrics").text
    finally:
        telemetry.server.close()


def test_a_fault_of_ours_while_figures_are_told_is_an_answer(tmp_path: Path):
    part = Odd()
    telemetry = start_telemetry(settings(tmp_path), "judge", part)
    try:
        part.samples = [Sample(catalog.SPOOL_BYTES, 1, ("a label too many",))]
        assert get(telemetry.server.url + "/metrics").status_code == 500
        part.samples = []
        assert get(telemetry.server.url + "/metrics").status_code == 200
    finally:
        telemetry.server.close()


def test_a_port_that_is_taken_is_tried_until_it_is_free(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answers = Answers(Figures(), lambda: "", lambda: "")  # type: ignore[arg-type]
        server = Server("127.0.0.1", port, answers, again_s=0.05)
        assert server.url == "", "the part goes on without"
    until(lambda: server.url, 15)
    assert get(f"http://127.0.0.1:{port}/ready").status_code == 200
    server.close()


def test_one_who_says_nothing_keeps_nobody_waiting(tmp_path: Path):
    telemetry = start_telemetry(settings(tmp_path), "judge", Odd())
    port = int(telemetry.server.url.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_AT_ONCE - 1)]
    try:
        until(lambda: get(telemetry.server.url + "/health").status_code == 200, 15)
    finally:
        for one in silent:
            one.close()
        telemetry.server.close()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_strangers_that_fill_every_place_keep_nobody_waiting(tmp_path: Path, shape: Callable[[int], bytes]):
    telemetry = start_telemetry(settings(tmp_path), "judge", Odd())
    with strangers(int(telemetry.server.url.rpartition(":")[2]), 4 * MOST_AT_ONCE, shape):
        for path in ("/health", "/ready", "/metrics"):
            assert get(telemetry.server.url + path).status_code == 200
    telemetry.server.close()


def test_a_byte_now_and_then_keeps_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ringfence.ops.telemetry.server.LIFE_S", 0.5)
    telemetry = start_telemetry(settings(tmp_path), "judge", Odd())
    with strangers(int(telemetry.server.url.rpartition(":")[2]), 4, half_a_head) as lines:
        until(lambda: all(map(cut_off, lines)), 20)
    telemetry.server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_port_is_to_be_had_again_at_once(host: str):
    """Who has answered and ended holds its port in TIME_WAIT; the part that is started again serves on it all the same."""
    answers = Answers(Figures(), lambda: "", lambda: "")  # type: ignore[arg-type]
    try:
        first = Server(host, 0, answers)
        assert first.url
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = int(first.url.rpartition(":")[2])
    for _ in range(3):
        assert get(f"{first.url}/ready").status_code == 200  # the server ends the connection: its side waits
        first.close()
        first = Server(host, port, answers, again_s=600)
        assert first.url, "at once, not at the next try"
    first.close()


def test_a_process_that_was_killed_leaves_its_port_to_the_next(tmp_path: Path):
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
from test_server import Odd, settings
from pathlib import Path
from ringfence.ops.telemetry import start_telemetry
telemetry = start_telemetry(settings(Path({str(tmp_path)!r})), "judge", Odd())
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


def test_a_look_that_hangs_is_waited_for_once_and_its_last_answer_has_an_age():
    hang = threading.Event()
    answers = iter([1, 2, 3])

    def slow() -> int:
        hang.wait(20)
        return next(answers)

    hang.set()
    look = Polled("books", slow, fresh_s=0.0, wait_s=0.2)
    assert look.value() == 1 and not look.fault
    hang.clear()
    began = time.monotonic()
    assert look.value() == 1 and look.fault == "no answer for 0.2 s"
    assert time.monotonic() - began < 5 and look.age_s() > 0
    assert look.value() == 1 and sum(thread.name == "look-books" for thread in threading.enumerate()) == 1
    hang.set()
    until(lambda: look.value() >= 2, 15)
    assert not look.fault


def test_a_look_is_shared_while_it_is_fresh():
    looks = []
    look = Polled("journal", lambda: looks.append(1), fresh_s=60)
    threads = [threading.Thread(target=look.value) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(looks) == 1
