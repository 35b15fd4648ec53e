"""Dips: what each source answers, what is cached, and what counts while a source hangs, lies or is gone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from core.config import Portability
from services.errors import BadArgument
from services.portability.dip import Answer, Cached, DipError
from services.portability.enum import EnumDip
from services.portability.http import HttpDip
from services.portability.local import LocalDip, import_file, load, path_of
from services.portability.sources import source


@contextmanager
def http(answers: dict[str, tuple[int, bytes]], pause_s: float = 0.0) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(pause_s)
            status, body = answers.get(self.path.rsplit("/", 1)[-1], (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mnp/{{number}}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def name_server(records: dict[str, str], *, hangs: bool = False) -> Iterator[str]:
    """A name server with NAPTR records by name."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                data, peer = sock.recvfrom(4096)
            except TimeoutError:
                continue
            if hangs:
                continue
            asked = dns.message.from_wire(data)
            answer = dns.message.make_response(asked)
            name = asked.question[0].name.to_text()
            if name in records:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "NAPTR", records[name]))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            sock.sendto(answer.to_wire(), peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{sock.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        sock.close()


def test_an_http_service_answers_or_names_its_fault() -> None:
    answers = {"431": (200, b'{"lrn":"+4369911"}'), "432": (200, b'{"lrn":null}'), "433": (500, b""), "434": (200, b"<html>")}
    answers["435"] = (200, b'{"lrn":"x"}')
    with http(answers) as url:
        dip = HttpDip(url, 2_000)
        assert [dip.ask(number) for number in ("431", "432", "439")] == ["4369911", "", ""]
        for number, words in (("433", "answers 500"), ("434", "no JSON"), ("435", "'x', which is no LRN")):
            with pytest.raises(DipError, match=words):
                dip.ask(number)
    with pytest.raises(DipError, match="cannot be reached"):
        HttpDip("http://127.0.0.1:1/{number}", 500).ask("431")
    with http(answers, pause_s=2) as url, pytest.raises(DipError, match="within 100 ms"):
        HttpDip(url, 100).ask("431")


def test_enum_reads_the_routing_number_and_does_not_wait_for_a_server_that_hangs() -> None:
    ported = '10 10 "u" "E2U+pstn:tel" "!^.*$!tel:+43664123456;npdi;rn=+4369911!" .'
    with name_server({"6.5.4.3.2.1.4.6.6.3.4.e164.example.": ported}) as server:
        dip = EnumDip("e164.example", server, 2_000)
        assert dip.ask("43664123456") == "4369911" and dip.ask("43664123457") == ""
    with name_server({}, hangs=True) as server:
        began = time.monotonic()
        with pytest.raises(DipError, match="within 200 ms"):
            EnumDip("e164.example", server, 200).ask("43664123456")
        assert time.monotonic() - began < 10


class Counting:
    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    def ask(self, number: str) -> str:
        self.asked += 1
        if self.down:
            raise DipError("does not answer")
        return "4369911" if number == "431" else ""


@pytest.mark.parametrize("fails", ["open", "closed"])
def test_answers_are_cached_failures_for_seconds_and_calls_go_on_or_not_as_configured(fails: str) -> None:
    now, dip = [0.0], Counting()
    row = Portability(tenant="t1", name="mnp", cache_s=60, fails=fails)  # type: ignore[arg-type]
    cached = Cached(row, dip, lambda: now[0])
    assert [cached.ask("431").lrn for _ in range(3)] == ["4369911"] * 3 and dip.asked == 1
    assert cached.ask("432") == Answer() and cached.known("432") == Answer()
    now[0], dip.down = 61.0, True
    assert cached.ask("431") == Answer("", "portability mnp: does not answer", fails == "closed")
    assert cached.ask("433").failed and dip.asked == 3, "for five seconds it is not asked again"
    now[0], dip.down = 67.0, False
    assert cached.ask("431").lrn == "4369911"


def test_a_dump_and_its_deltas_make_the_table_and_broken_lines_are_findings(tmp_path: Path) -> None:
    file, state = tmp_path / "dump.csv", tmp_path / "state"
    good = "".join(f"43664{n:06},4369{n % 7:02}\n" for n in range(300))
    file.write_text("number,lrn\n" + good + "436640001x,436901\n43664000002\n")
    done = import_file(file, state, "t1", delta=False)
    assert (done.numbers, done.lines, done.bad) == (300, 302, 2)
    assert [(one.line, one.why) for one in done.findings] == [
        (302, "'436640001x' is no number: 4 to 15 digits with the country code"), (303, "has one field: a dump has number,lrn"),
    ]  # fmt: skip
    dip = LocalDip(path_of(state, "t1"))
    assert dip.ask("43664000008") == "436901" and dip.ask("43664999999") == ""
    delta = tmp_path / "delta.csv"
    delta.write_text("+,43664999999,436905\n-,43664000008\n")
    for _ in range(2):
        assert import_file(delta, state, "t1", delta=True).numbers == 300
    assert dip.ask("43664999999") == "436905" and dip.ask("43664000008") == ""
    assert source(Portability(tenant="t1", name="mnp"), state).ask("43664000009").lrn == "436902"


def test_another_file_is_refused_whole(tmp_path: Path) -> None:
    file, state = tmp_path / "dump.csv", tmp_path / "state"
    file.write_text("431234567,4301\n" * 10)
    import_file(file, state, "t1", delta=False)
    with pytest.raises(BadArgument, match=r"is not taken as a delta: 10 of 10 lines cannot be read\. line 1: begins with '431234567'"):
        import_file(file, state, "t1", delta=True)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(BadArgument, match="0 of 0 lines"):
        import_file(tmp_path / "empty.csv", state, "t1", delta=False)
    with pytest.raises(BadArgument, match="cannot be read: No such file"):
        import_file(tmp_path / "none.csv", state, "t1", delta=False)
    assert len(load(path_of(state, "t1"))) == 1
