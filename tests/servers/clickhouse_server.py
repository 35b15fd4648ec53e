"""ClickHouse behind HTTP, as a test may have it: ClickHouse's own engine (chDB) in a process that speaks its HTTP interface and
takes inserts, with a user and a password, with or without TLS, read-only or not. It may be killed and frozen.

It is the engine of a server, not a server: no cluster, no quotas, no users of SQL. What it refuses, the engine refuses.

CLICKHOUSE_PASSWORD=... python clickhouse_server.py DIRECTORY PORT USER [--readonly] [--certificate PEM]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

ROOT = Path(__file__).parents[2]
PASSWORD = "s3ntinel/of@the:warehouse"
"""It needs escaping in an address, and is in no log and no message: tests look for it."""
USER = "ringfence"
INSERT = re.compile(rb"\s*(INSERT\s+INTO\s+.*?)\s+FORMAT\s+(\w+)\s*?(?:\n|\Z)", re.DOTALL | re.IGNORECASE)


# --- for tests ---


@dataclass
class ClickHouse:
    """A server in a process of its own. `dsn` is its address, `start` after `kill` finds what was stored."""

    directory: Path
    readonly: bool = False
    certificate: Path | None = None
    password: str = PASSWORD
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = self.port or probe.getsockname()[1]

    def dsn(self, host: str = "127.0.0.1", user: str = USER, password: str | None = None, query: str = "") -> str:
        secret = quote(self.password if password is None else password, safe="")
        return f"http{'s' if self.certificate else ''}://{user}:{secret}@{host}:{self.port}{query}"

    def start(self) -> None:
        options = ["--readonly"] * self.readonly + (["--certificate", str(self.certificate)] if self.certificate else [])
        argv = [sys.executable, __file__, str(self.directory), str(self.port), USER, *options]
        env = os.environ | {"CLICKHOUSE_PASSWORD": self.password}  # not among the arguments: everybody reads those
        self.process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, env=env)
        until = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the ClickHouse of the test does not start: {self.process.poll()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        context = ssl._create_unverified_context() if self.certificate else None
        try:
            url = f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}/ping"
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                return bool(answer.read() == b"Ok.\n")
        except OSError:
            return False

    def freeze(self, on: bool = True) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


# --- the process ---


class Fault(Exception):
    """An error as ClickHouse numbers it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: Callable[[dict[str, str], bytes], tuple[bytes, dict[str, str]]]
    user, password = "", ""

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self.reply(200, b"Ok.\n", {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        arguments = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        query_id = arguments.get("query_id", "") or str(uuid.uuid4())
        try:
            body = unpacked(self.body(), self.headers.get("Content-Encoding", "identity"))
            kind = self.headers.get("Content-Type", "")
            if kind.startswith("multipart/form-data"):
                from warehouse.server import _form

                arguments, body = arguments | _form(kind, body), b""
            self.authenticate(arguments)
            arguments.setdefault("database", self.headers.get("X-ClickHouse-Database", "default"))
            arguments.setdefault("default_format", self.headers.get("X-ClickHouse-Format", "TabSeparated"))
            content, headers = type(self).answer(arguments, body)
            self.reply(200, content, {**headers, "X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Timezone": "UTC"})
        except Fault as fault:
            from warehouse.server import STATUS_OF

            text = str(fault) if str(fault).startswith("Code:") else f"Code: {fault.code}. DB::Exception: {fault}"
            self.reply(STATUS_OF.get(fault.code, 500), text.encode(), {"X-ClickHouse-Exception-Code": str(fault.code)})

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def authenticate(self, arguments: dict[str, str]) -> None:
        user = self.headers.get("X-ClickHouse-User", arguments.get("user", ""))
        password = self.headers.get("X-ClickHouse-Key", arguments.get("password", ""))
        header = self.headers.get("Authorization", "")
        if header.startswith("Basic "):
            user, _, password = b64decode(header[6:]).decode().partition(":")
        if (user, password) != (self.user, self.password):
            raise Fault(516, f"{user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)")

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain; charset=UTF-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if self.tls is not None:  # in the connection's own thread: a client that refuses us must not stop the others
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except (ssl.SSLError, OSError):
                return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone."""


def unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    from clickhouse_connect.driver._backend.chdb_backend import _decompress

    return _decompress(body, encoding)


def answering(directory: str, readonly: bool) -> Callable[[dict[str, str], bytes], tuple[bytes, dict[str, str]]]:
    """What answers a request: the engine, by a connection of its own, with the settings that the request brought."""
    import chdb
    from chdb._exceptions import ChdbError

    from warehouse.server import TRANSPORT

    chdb.connect(directory)  # kept open: the engine lives as long as this process

    def run(engine: Any, sql: str, fmt: str = "TabSeparated", params: dict[str, str] | None = None) -> Any:
        try:
            return engine.query(sql, fmt, params=params or {})
        except ChdbError as error:
            text = str(error)[max(0, str(error).find("Code: ")) :]
            code = re.match(r"Code: (\d+)", text)
            raise Fault(int(code[1]) if code else 1000, text) from None

    def answer(arguments: dict[str, str], body: bytes) -> tuple[bytes, dict[str, str]]:
        params = {name.removeprefix("param_"): value for name, value in arguments.items() if name.startswith("param_")}
        settings = {name: value for name, value in arguments.items() if name not in TRANSPORT and not name.startswith("param_")}
        engine = chdb.connect(directory)
        try:
            run(engine, f"USE {arguments['database']}")
            for name, value in settings.items():
                run(engine, f"SET {name} = '{value}'")
            if readonly:
                run(engine, "SET readonly = 2")
            text = arguments.get("query", "").encode()
            insert = INSERT.fullmatch(text) if text else INSERT.match(body)
            if insert:
                result = store(engine, insert, body if text else body[insert.end() :])
            else:
                result = run(engine, (text + b"\n" + body).decode(), arguments["default_format"], params)
            rows, size = result.rows_read(), result.bytes_read()
            written = rows if insert else 0
            summary = {"read_rows": rows, "read_bytes": size, "written_rows": written, "written_bytes": size if insert else 0}
            return bytes(result.bytes() or b""), {"X-ClickHouse-Summary": json.dumps({k: str(v) for k, v in summary.items()})}
        finally:
            engine.close()

    def store(engine: Any, insert: re.Match[bytes], data: bytes) -> Any:
        with tempfile.NamedTemporaryFile(dir=directory) as file:  # the engine takes the rows of an insert from a file
            file.write(data)
            file.flush()
            return run(engine, f"{insert[1].decode()} FROM INFILE '{file.name}' FORMAT {insert[2].decode()}")

    return answer


def main() -> None:
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("user")
    parser.add_argument("--readonly", action="store_true")
    parser.add_argument("--certificate")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    os.environ["TZ"] = "UTC"
    time.tzset()
    Handler.user, Handler.password = options.user, os.environ.pop("CLICKHOUSE_PASSWORD")
    Handler.answer = staticmethod(answering(str(options.directory), options.readonly))
    server = Server(("127.0.0.1", options.port), Handler)
    if options.certificate:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(options.certificate)
    server.serve_forever()


if __name__ == "__main__":
    main()
