"""SELECT, and only SELECT, over ClickHouse's own HTTP interface, for what another process of this machine wants to read.

It runs in threads of the process that holds the embedded warehouse. Ordinary ClickHouse clients work:
`clickhouse_connect.get_client(host="127.0.0.1", port=..., username="reader", password=token)`, `curl`, Grafana's data source.
Answers are not compressed: they do not leave the machine. A question gets a connection of its own to the engine, so that no
setting of one outlives it. Connections that have shown no token make room for newcomers (`core.newcomers`), and are cut after a while.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import logging
import re
import socket
import sys
import threading
import time
import uuid
from base64 import b64decode
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
from chdb._exceptions import ChdbError

from core.newcomers import Newcomers
from warehouse import guard, lock
from warehouse.errors import Refused, WarehouseError
from warehouse.opening import DATABASE

log = logging.getLogger("ringfence.warehouse.server")

AUTHENTICATION_FAILED, TOO_MANY_QUERIES, TOO_LARGE, UNKNOWN_DATABASE, BAD_REQUEST = 516, 202, 307, 81, 36

STATUS_OF = {
    62: 400, 36: 400, 47: 400, 46: 404, 60: 404, 81: 404, 159: 408, 160: 408, 164: 403, 202: 503, 241: 500, 307: 413, 396: 400,
    452: 403, 456: 400, 457: 400, 497: 403, 516: 403,
}  # fmt: skip
"""ClickHouse's number of an error -> the HTTP status that ClickHouse gives it; others are 500."""

TRANSPORT = frozenset(
    {
        "query", "database", "user", "password", "default_format", "query_id", "session_id", "session_timeout", "session_check",
        "quota_key", "buffer_size", "wait_end_of_query", "client_protocol_version", "role", "enable_http_compression",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close",
        "add_http_cors_header", "http_zlib_compression_level", "stacktrace", "compress", "decompress",
    }
)  # fmt: skip
"""Arguments that speak about the line, not about the question: they never reach the engine."""


@dataclass(frozen=True)
class Limits:
    """What one question may cost, and how many may be asked at once. At a limit there is an error, never a part of an answer."""

    time_s: float = 30.0
    result_rows: int = 1_000_000
    result_bytes: int = 256 << 20
    memory_bytes: int = 2 << 30
    threads: int = 1  # the cores belong to the calls
    queries: int = 4
    wait_s: float = 5.0  # for one of those places
    connections: int = 64  # with a token; one more is cut at once
    idle_s: float = 60.0
    strangers: int = 32  # connections without a token; a newcomer replaces the oldest silent one
    stranger_s: float = 10.0
    request_bytes: int = 1 << 20


class Server:
    """A running server. `url` is where; `close()` lets the questions under way finish, for a while."""

    def __init__(self, http: _Http) -> None:
        self._http = http
        self._thread = threading.Thread(
            target=http.serve_forever, kwargs={"poll_interval": 0.2}, name="warehouse-server", daemon=True
        )
        self._thread.start()
        host, self.port = http.server_address[:2]
        self.url = f"http://{f'[{host!s}]' if ':' in str(host) else host!s}:{self.port}"

    def close(self, drain_s: float = 5.0) -> None:
        """No new questions; those under way may finish within `drain_s`."""
        self._http.draining = True
        self._http.shutdown()
        self._http.server_close()
        deadline = time.monotonic() + drain_s
        while self._http.busy and time.monotonic() < deadline:
            time.sleep(0.02)
        self._http.hang_up()


def serve(directory: Path, host: str, port: int, token: str, limits: Limits = Limits()) -> Server:
    """Starts the server of the embedded warehouse in `directory`, which this process must have open. Port 0 = a free one."""
    try:
        address = ipaddress.ip_address({"localhost": "127.0.0.1"}.get(host, host))
    except ValueError:
        raise WarehouseError(f"the read-only server listens on a loopback address, and {host!r} is none") from None
    if not address.is_loopback:
        raise WarehouseError(
            f"the read-only server listens on loopback only, not on {host}: its token travels in the clear. "
            "Put a proxy with TLS before it, or run ClickHouse itself"
        )
    if len(token) < 16:
        raise WarehouseError("the token of the read-only server must have 16 characters or more")
    if not lock.is_held(directory):
        raise WarehouseError(
            f"open the warehouse in {directory} before serving it: the server is a guest of the process that holds it"
        )
    try:
        return Server(_Http(str(address), port, str(directory.resolve()), token, limits))
    except OSError as error:
        raise WarehouseError(f"the read-only server cannot listen on {host}:{port}: {error}") from error


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 1024  # at a full queue the kernel drops a client's first packet, and it tries again after a second

    def __init__(self, host: str, port: int, directory: str, token: str, limits: Limits) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.directory, self.token, self.limits = directory, token, limits
        self.draining = False
        self.started = time.monotonic()
        self.places = threading.Semaphore(limits.queries)
        self.mutex = threading.Lock()
        self.connections: set[socket.socket] = set()
        self.strangers = Newcomers[socket.socket](limits.strangers, limits.strangers, limits.stranger_s)
        self.busy = self.answered = self.refused = self.failed = 0
        engine = _connect(directory)
        try:
            self.version = _text(engine, "SELECT version()")
            self.timezone = _text(engine, "SELECT timezone()")
            names = _text(engine, "SELECT lower(name) FROM system.table_functions")
            self.table_functions = frozenset(names.split("\n"))
        finally:
            engine.close()
        super().__init__((host, port), _Handler)

    def count(self, what: str, by: int = 1) -> None:
        with self.mutex:
            setattr(self, what, getattr(self, what) + by)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.mutex:
            room = len(self.connections) - len(self.strangers) < self.limits.connections and not self.draining
            evicted = None
            if room:
                self.connections.add(request)
                evicted = self.strangers.arrive(request, client_address[0], time.monotonic())
            if evicted is not None:
                self.connections.discard(evicted)
                _hang_up(evicted)
        if room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def service_actions(self) -> None:
        """Once each round of the server's loop: who has shown no token for too long is cut, whatever it sends."""
        with self.mutex:
            for connection in self.strangers.overdue(time.monotonic()):
                self.connections.discard(connection)
                _hang_up(connection)

    def asks(self, connection: socket.socket) -> None:
        """The head of a request is here."""
        with self.mutex:
            self.strangers.ask(connection)

    def trust(self, connection: socket.socket) -> None:
        """The connection has shown the token."""
        with self.mutex:
            self.strangers.leave(connection)

    def shutdown_request(self, request: Any) -> None:
        with self.mutex:
            self.connections.discard(request)
            self.strangers.leave(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]  # of a connection that broke off, a traceback costs more than an answer
        log.warning("a connection of the read-only server broke off: %r", error, exc_info=not isinstance(error, OSError))

    def hang_up(self) -> None:
        """Ends the connections that are kept open and idle."""
        with self.mutex:
            kept = list(self.connections)
        for connection in kept:
            _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    """Its own thread finds it ended, and closes it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        log.debug("a connection was gone already")


@dataclass
class _Question:
    sql: str
    params: dict[str, str]
    settings: dict[str, str]
    database: str
    format: str
    query_id: str


class _Fault(Exception):
    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.limits.idle_s)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def version_string(self) -> str:
        return "Ringfence-Warehouse"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asks(self.connection)
        parts = urlsplit(self.path)
        if parts.path in ("/ping", "/replicas_status") or (parts.path == "/" and not parts.query):
            self._send(200, b"Ok.\n")
        elif parts.path == "/health":
            self._health()
        else:
            self._answer(parts.path, parts.query, b"")

    def do_POST(self) -> None:
        self.server.asks(self.connection)
        parts = urlsplit(self.path)
        try:
            body = self._body()
        except _Fault as fault:
            self.close_connection = True  # what is left of the body would be read as the next request
            self._refuse(fault.code, str(fault), "")
            return
        self._answer(parts.path, parts.query, body)

    def _health(self) -> None:
        s = self.server
        state = {
            "status": "draining" if s.draining else "ok", "up_s": round(time.monotonic() - s.started), "version": s.version,
            "busy": s.busy, "answered": s.answered, "refused": s.refused, "failed": s.failed,
        }  # fmt: skip
        self._send(200, json.dumps(state).encode() + b"\n", {"Content-Type": "application/json"})

    def _body(self) -> bytes:
        limit = self.server.limits.request_bytes
        if self.headers.get("Content-Encoding", "identity") != "identity":
            raise _Fault(BAD_REQUEST, "a compressed request is refused: a question is short")
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks(limit)
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit():
            raise _Fault(BAD_REQUEST, "Content-Length is not a number")
        if int(length) > limit:
            raise _Fault(TOO_LARGE, f"a request of {length} bytes is over the limit of {limit}")
        return self.rfile.read(int(length))

    def _chunks(self, limit: int) -> bytes:
        body = b""
        while True:
            size = self.rfile.readline(100).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", size):
                raise _Fault(BAD_REQUEST, "a chunk has no size")
            if int(size, 16) == 0:
                while self.rfile.readline(8192).strip():
                    pass
                return body
            if len(body) + int(size, 16) > limit:
                raise _Fault(TOO_LARGE, f"a request is over the limit of {limit} bytes")
            body += self.rfile.read(int(size, 16))
            self.rfile.readline(8)

    def _answer(self, path: str, query: str, body: bytes) -> None:
        query_id = ""
        s = self.server
        try:
            arguments = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=1000))
            self._authenticate(arguments)
            if path not in ("/", "/query"):
                raise _Fault(UNKNOWN_DATABASE, f"there is nothing at {path}; ask at /")
            question = self._question(arguments, body)
            query_id = question.query_id
            if s.draining or not s.places.acquire(timeout=s.limits.wait_s):
                raise _Fault(TOO_MANY_QUERIES, f"{s.limits.queries} questions are under way; ask again")
            s.count("busy")
            try:
                content, headers = _run(s, question)
            finally:
                s.count("busy", -1)
                s.places.release()
        except Refused as refusal:
            s.count("refused")
            self._refuse(refusal.code, str(refusal), query_id)
        except _Fault as fault:
            s.count("failed")
            self._refuse(fault.code, str(fault), query_id)
        except ValueError as error:  # parse_qsl: too many arguments
            s.count("failed")
            self._refuse(BAD_REQUEST, str(error), query_id)
        except Exception as error:
            # A fault of ours: the asker gets an answer, the log gets the rest, and the store goes on.
            log.exception("a question could not be answered")
            s.count("failed")
            self._refuse(49, f"{type(error).__name__}: {error}", query_id)
        else:
            s.count("answered")
            self._send(200, content, {**headers, "X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Timezone": s.timezone})

    def _authenticate(self, arguments: dict[str, str]) -> None:
        header = self.headers.get("Authorization", "")
        kind, _, value = header.partition(" ")
        given = arguments.get("password", "") or self.headers.get("X-ClickHouse-Key", "")
        if kind.lower() == "bearer":
            given = value.strip()
        elif kind.lower() == "basic":
            try:
                given = b64decode(value, validate=True).decode().partition(":")[2]
            except ValueError:
                given = ""
        if not hmac.compare_digest(given.encode(), self.server.token.encode()):
            raise _Fault(AUTHENTICATION_FAILED, "Authentication failed: give the token as the password or as a bearer token")
        self.server.trust(self.connection)

    def _question(self, arguments: dict[str, str], body: bytes) -> _Question:
        fields = arguments
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            fields, body = arguments | _form(kind, body), b""
        elif kind.startswith("application/x-www-form-urlencoded") and "query" not in arguments and b"query=" in body[:4096]:
            # curl -d says this of every body: only one that has such a field is a form.
            fields, body = arguments | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)), b""
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise _Fault(BAD_REQUEST, "the question is not UTF-8") from None
        sql = "\n".join(part for part in (fields.get("query", ""), text) if part)
        if not sql.strip():
            raise _Fault(62, "there is no question: put it into `query` or into the body")
        if fields.get("compress") == "1" or fields.get("decompress") == "1":
            raise _Fault(BAD_REQUEST, "native compression (compress=1) is not spoken here: answers do not leave the machine")
        params = {k.removeprefix("param_"): v for k, v in fields.items() if k.startswith("param_")}
        settings = {k: v for k, v in fields.items() if k not in TRANSPORT and not k.startswith("param_")}
        for name in settings:
            guard.check_setting(name)
        database = fields.get("database", "") or self.headers.get("X-ClickHouse-Database", "") or DATABASE
        if database == "default":  # what clients name when nobody told them; here that is ours
            database = DATABASE
        if database not in guard.DATABASES:
            raise _Fault(UNKNOWN_DATABASE, f"there is no database {database[:100]!r} here; there are {DATABASE} and system")
        fmt = fields.get("default_format", "") or self.headers.get("X-ClickHouse-Format", "") or "TabSeparated"
        if not re.fullmatch(r"\w{1,60}", fmt):
            raise _Fault(73, f"{fmt[:60]!r} is not a format")
        return _Question(sql, params, settings, database, fmt, fields.get("query_id", "")[:100] or str(uuid.uuid4()))

    def _refuse(self, code: int, words: str, query_id: str) -> None:
        text = words if words.startswith("Code: ") else f"Code: {code}. DB::Exception: {words}"
        headers = {"X-ClickHouse-Exception-Code": str(code)} | ({"X-ClickHouse-Query-Id": query_id} if query_id else {})
        self._send(STATUS_OF.get(code, 500), text.encode() + b"\n", headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "text/plain; charset=UTF-8"} | (headers or {})).items():
            self.send_header(name, re.sub(r"[\r\n]", " ", value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _run(server: _Http, question: _Question) -> tuple[bytes, dict[str, str]]:
    """The answer's bytes and headers, by a connection of its own."""
    engine = _connect(server.directory)
    try:
        _ask(engine, f"USE {question.database}")
        _ask(engine, f"SET max_execution_time = {server.limits.time_s}")

        def ask(sql: str, params: dict[str, str]) -> str:
            return str(_ask(engine, sql, "TabSeparatedRaw", params).decode("utf-8", "replace"))

        statement = guard.check(question.sql, ask, question.params, server.table_functions)
        settings = _settings(server.limits, question.settings)
        # Level 1 also refuses most of what the guard refuses. Level 2 is for what cannot live under 1: a SETTINGS clause,
        # which the guard has read, and clients that look up which settings they may change.
        settings["readonly"] = "2" if statement.has_settings or "system.settings" in statement.sql else "1"
        _ask(engine, "SET " + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items()))
        try:
            result = engine.query(statement.sql, question.format, params=question.params)
        except ChdbError as error:
            raise _fault(error) from None
        content = bytes(result.bytes() or b"")
        summary = {
            "read_rows": result.rows_read(), "read_bytes": result.bytes_read(), "written_rows": 0, "written_bytes": 0,
            "total_rows_to_read": 0, "result_bytes": len(content), "elapsed_ns": int(result.elapsed() * 1e9),
        }  # fmt: skip
    finally:
        engine.close()
    return content, {
        "X-ClickHouse-Summary": json.dumps({k: str(v) for k, v in summary.items()}),
        "X-ClickHouse-Format": statement.format or question.format,
    }


def _connect(directory: str) -> Any:
    return chdb.connect(directory)  # type: ignore[no-untyped-call]


def _settings(limits: Limits, asked: dict[str, str]) -> dict[str, str]:
    """What is set before a question: what it brought, with our limits as the ceiling.

    >>> s = _settings(Limits(time_s=30), {"max_execution_time": "99999", "max_result_rows": "10", "final": "1", "readonly": "0"})
    >>> s["max_execution_time"], s["max_result_rows"], s["final"], "readonly" in s
    ('30', '10', '1', False)
    """
    ceilings = {
        "max_execution_time": limits.time_s, "max_result_rows": limits.result_rows, "max_result_bytes": limits.result_bytes,
        "max_memory_usage": limits.memory_bytes, "max_threads": limits.threads,
    }  # fmt: skip
    settings = {name: value for name, value in asked.items() if name != "readonly"}
    for name, ceiling in ceilings.items():
        try:
            wanted = float(settings.get(name, "0"))
        except ValueError:
            wanted = 0.0
        settings[name] = f"{min(wanted, ceiling) if wanted > 0 else ceiling:.12g}"
    settings["result_overflow_mode"] = settings["timeout_overflow_mode"] = "throw"
    return settings


def _ask(engine: Any, sql: str, fmt: str = "TabSeparatedRaw", params: dict[str, str] | None = None) -> bytes:
    try:
        return bytes(engine.query(sql, fmt, params=params or {}).bytes() or b"")
    except ChdbError as error:
        raise _fault(error) from None


def _text(engine: Any, sql: str) -> str:
    return _ask(engine, sql).decode().strip()


def _fault(error: Exception) -> _Fault:
    words = str(error)
    at = words.find("Code: ")
    words = words[at:] if at >= 0 else words
    code = re.match(r"Code: (\d+)", words)
    return _Fault(int(code[1]) if code else 1000, words[:4000])


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _form(kind: str, body: bytes) -> dict[str, str]:
    """The plain fields of a multipart form. A file among them would be a table to join with: refused."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n" + body)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None:
            raise _Fault(BAD_REQUEST, "external data is refused: this server reads its own tables and nothing else")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = payload.decode("utf-8", "replace")
    return fields
