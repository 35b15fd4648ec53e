"""SELECT, and only SELECT, over ClickHouse's own HTTP interface, for other processes of this machine: the application.

It runs in the process that holds the embedded warehouse; `flows.warehouse_server` listens for it. Ordinary ClickHouse clients work:
`clickhouse_connect.get_client(host="127.0.0.1", port=..., username="reader", password=token)`, `curl`, Grafana's data source.
Answers are not compressed: they do not leave the machine. Each query gets its own connection to the engine, so that no setting of one
outlives it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
import uuid
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import chdb
from chdb._exceptions import ChdbError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from warehouse import guard, lock
from warehouse.errors import Refused, WarehouseError
from warehouse.opening import DATABASE

log = logging.getLogger("ringfence.warehouse.server")

AUTHENTICATION_FAILED, TOO_MANY_QUERIES, TOO_LARGE, UNKNOWN_DATABASE, BAD_REQUEST, SYNTAX_ERROR, UNKNOWN_FORMAT = 516, 202, 307, 81, 36, 62, 73

STATUS_OF = {
    62: 400, 36: 400, 47: 400, 46: 404, 60: 404, 81: 404, 159: 408, 160: 408, 164: 403, 202: 503, 241: 500, 307: 413, 396: 400,
    452: 403, 456: 400, 457: 400, 497: 403, 516: 403,
}  # fmt: skip
"""ClickHouse's error number -> the HTTP status that ClickHouse sends with it; all others are 500."""

TRANSPORT = frozenset(
    {
        "query", "database", "user", "password", "default_format", "query_id", "session_id", "session_timeout", "session_check",
        "quota_key", "buffer_size", "wait_end_of_query", "client_protocol_version", "role", "enable_http_compression",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close",
        "add_http_cors_header", "http_zlib_compression_level", "stacktrace", "compress", "decompress",
    }
)  # fmt: skip
"""Arguments about the connection, not about the query: they never reach the engine."""

CHUNK_BYTES = 1 << 20
"""Of an answer that is written at once; the next chunk waits until the client has read."""


@dataclass(frozen=True)
class Limits:
    """What one query may cost, and how many may run at once. At a limit there is an error, never a part of an answer."""

    time_s: float = 30.0
    result_rows: int = 1_000_000
    result_bytes: int = 256 << 20
    memory_bytes: int = 2 << 30
    threads: int = 1  # the other cores belong to the calls
    queries: int = 4
    wait_s: float = 5.0  # for one of those slots
    connections: int = 64  # with a token; one more is cut at once
    idle_s: float = 60.0  # a connection without a request, or an answer that is not read
    strangers: int = 32  # connections without a token; a newcomer replaces the oldest silent one
    stranger_s: float = 10.0
    request_bytes: int = 1 << 20


@dataclass
class _Query:
    sql: str
    params: dict[str, str]
    settings: dict[str, str]
    database: str
    format: str
    id: str


class _Answer(Response):
    """Written in chunks: a large answer waits for its reader in one copy, not in the transport's buffer as well."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        rest = memoryview(self.body)
        while len(rest) > CHUNK_BYTES:
            await send({"type": "http.response.body", "body": rest[:CHUNK_BYTES], "more_body": True})
            rest = rest[CHUNK_BYTES:]
        await send({"type": "http.response.body", "body": rest})


class Reader:
    """Answers queries of the embedded warehouse in `directory`, which this process must have open.

    `trust(scope)` is called when a request has shown the token; False: too many connections have.
    """

    def __init__(self, directory: Path, token: str, limits: Limits, trust: Callable[[Scope], bool]) -> None:
        if len(token) < 16:
            raise WarehouseError("the token of the read-only server must have 16 characters or more")
        if not lock.is_held(directory):
            raise WarehouseError(
                f"open the warehouse in {directory} before serving it: only the process that has it open can answer queries"
            )
        self._directory, self._token, self._limits, self._trust = str(directory.resolve()), token, limits, trust
        self._slots = asyncio.Semaphore(limits.queries)
        self._started_s = time.monotonic()
        self._running = self._answered = self._refused = self._failed = 0
        engine = _connect(self._directory)
        try:
            self._version = _text(engine, "SELECT version()")
            self._timezone = _text(engine, "SELECT timezone()")
            self._table_functions = frozenset(_text(engine, "SELECT lower(name) FROM system.table_functions").split("\n"))
        finally:
            engine.close()

    def app(self) -> Starlette:
        queries = Route("/{path:path}", self._query, methods=["GET", "POST"])
        pings = [Route(path, self._ping) for path in ("/ping", "/replicas_status")]
        return Starlette(routes=[*pings, Route("/health", self._health), queries])

    async def _ping(self, _: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    async def _health(self, _: Request) -> Response:
        state = {"status": "ok", "up_s": round(time.monotonic() - self._started_s), "version": self._version}
        counts = {"running": self._running, "answered": self._answered, "refused": self._refused, "failed": self._failed}
        return JSONResponse(state | counts)

    async def _query(self, request: Request) -> Response:
        if request.url.path == "/" and request.method in ("GET", "HEAD") and not request.url.query:
            return await self._ping(request)
        headers: dict[str, str] = {}
        try:
            query = await self._read(request)
            headers["X-ClickHouse-Query-Id"] = re.sub(r"[^ -~]", "?", query.id)
            content, facts = await self._run_in_slot(query)
        except Refused as refusal:
            self._refused += 1
            return _error(refusal.code, str(refusal), headers)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:
            # A fault of ours: the client gets an answer, the log gets the rest, and the store goes on.
            log.exception("a query could not be answered")
            self._failed += 1
            return _error(49, f"{type(error).__name__}: {error}", headers)
        self._answered += 1
        return _Answer(content, headers=headers | facts | {"X-ClickHouse-Timezone": self._timezone}, media_type="text/plain")

    async def _read(self, request: Request) -> _Query:
        """The query of a request with a good token. Without one its body is not read."""
        try:
            arguments = dict(parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=1000))
        except ValueError as error:
            raise Refused(str(error), BAD_REQUEST) from None
        if not hmac.compare_digest(_password(request.headers, arguments).encode(), self._token.encode()):
            raise Refused("Authentication failed: give the token as the password or as a bearer token", AUTHENTICATION_FAILED)
        if not self._trust(request.scope):
            raise Refused(f"{self._limits.connections} connections are open; close one", TOO_MANY_QUERIES)
        if request.url.path not in ("/", "/query"):
            raise Refused(f"there is nothing at {request.url.path}; send queries to /", UNKNOWN_DATABASE)
        return _query_of(request.headers, arguments, await self._body(request))

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused("a compressed request is refused: a query is short", BAD_REQUEST)
        limit = self._limits.request_bytes
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise Refused(f"the request is over the limit of {limit} bytes", TOO_LARGE)
        return bytes(body)

    async def _run_in_slot(self, query: _Query) -> tuple[bytes, dict[str, str]]:
        try:
            await asyncio.wait_for(self._slots.acquire(), self._limits.wait_s)
        except TimeoutError:
            raise Refused(f"{self._limits.queries} queries are running; ask again", TOO_MANY_QUERIES) from None
        self._running += 1
        try:
            return await run_in_threadpool(self._run, query)
        finally:
            self._running -= 1
            self._slots.release()

    def _run(self, query: _Query) -> tuple[bytes, dict[str, str]]:
        """The answer's bytes and headers, by a connection of its own."""
        engine = _connect(self._directory)
        try:
            _ask(engine, f"USE {query.database}")
            _ask(engine, f"SET max_execution_time = {self._limits.time_s}")

            def ask(sql: str, params: dict[str, str]) -> str:
                return _ask(engine, sql, params).decode("utf-8", "replace")

            statement = guard.check(query.sql, ask, query.params, self._table_functions)
            settings = _settings(self._limits, query.settings)
            # Level 1 also refuses most of what the guard refuses. Level 2 is for what cannot run under 1: a SETTINGS clause,
            # which the guard has read, and clients that look up which settings they may change.
            settings["readonly"] = "2" if statement.has_settings or "system.settings" in statement.sql else "1"
            _ask(engine, "SET " + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items()))
            try:
                result = engine.query(statement.sql, query.format, params=query.params)
            except ChdbError as error:
                raise _refusal(error) from None
            content = bytes(result.bytes() or b"")
            summary = {
                "read_rows": result.rows_read(), "read_bytes": result.bytes_read(), "written_rows": 0, "written_bytes": 0,
                "total_rows_to_read": 0, "result_bytes": len(content), "elapsed_ns": int(result.elapsed() * 1e9),
            }  # fmt: skip
        finally:
            engine.close()
        return content, {
            "X-ClickHouse-Summary": json.dumps({k: str(v) for k, v in summary.items()}),
            "X-ClickHouse-Format": statement.format or query.format,
        }


def _error(code: int, text: str, headers: dict[str, str]) -> Response:
    text = text if text.startswith("Code: ") else f"Code: {code}. DB::Exception: {text}"
    # What may be left of the body of a request that is too large is not read: the connection ends.
    end = {"Connection": "close"} if code == TOO_LARGE else {}
    return PlainTextResponse(f"{text}\n", STATUS_OF.get(code, 500), headers | end | {"X-ClickHouse-Exception-Code": str(code)})


def _password(headers: Mapping[str, str], arguments: Mapping[str, str]) -> str:
    kind, _, value = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return arguments.get("password", "") or headers.get("X-ClickHouse-Key", "")


def _query_of(headers: Mapping[str, str], fields: dict[str, str], body: bytes) -> _Query:
    """The query of a request: `fields` are the arguments of its URL."""
    kind = headers.get("Content-Type", "")
    if kind.startswith("multipart/form-data"):
        fields, body = fields | _form(kind, body), b""
    elif kind.startswith("application/x-www-form-urlencoded") and "query" not in fields and b"query=" in body[:4096]:
        # curl -d sends this type with every body: only one that has such a field is a form.
        fields, body = fields | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)), b""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refused("the query is not UTF-8", BAD_REQUEST) from None
    sql = "\n".join(part for part in (fields.get("query", ""), text) if part)
    if not sql.strip():
        raise Refused("there is no query: put it into `query` or into the body", SYNTAX_ERROR)
    if fields.get("compress") == "1" or fields.get("decompress") == "1":
        raise Refused("native compression (compress=1) is not supported: answers do not leave the machine", BAD_REQUEST)
    params = {k.removeprefix("param_"): v for k, v in fields.items() if k.startswith("param_")}
    settings = {k: v for k, v in fields.items() if k not in TRANSPORT and not k.startswith("param_")}
    for name in settings:
        guard.check_setting(name)
    database = fields.get("database", "") or headers.get("X-ClickHouse-Database", "") or DATABASE
    if database == "default":  # clients send it when nobody configured another; here that is ours
        database = DATABASE
    if database not in guard.DATABASES:
        raise Refused(f"there is no database {database[:100]!r} here; there are {DATABASE} and system", UNKNOWN_DATABASE)
    fmt = fields.get("default_format", "") or headers.get("X-ClickHouse-Format", "") or "TabSeparated"
    if not re.fullmatch(r"\w{1,60}", fmt, re.ASCII):
        raise Refused(f"{fmt[:60]!r} is not a format", UNKNOWN_FORMAT)
    return _Query(sql, params, settings, database, fmt, fields.get("query_id", "")[:100] or str(uuid.uuid4()))


def _connect(directory: str) -> Any:
    return chdb.connect(directory)  # type: ignore[no-untyped-call]


def _settings(limits: Limits, asked: dict[str, str]) -> dict[str, str]:
    """The settings before a query: its own, with our limits as the ceiling.

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


def _ask(engine: Any, sql: str, params: dict[str, str] | None = None) -> bytes:
    try:
        return bytes(engine.query(sql, "TabSeparatedRaw", params=params or {}).bytes() or b"")
    except ChdbError as error:
        raise _refusal(error) from None


def _text(engine: Any, sql: str) -> str:
    return _ask(engine, sql).decode().strip()


def _refusal(error: Exception) -> Refused:
    text = str(error)
    text = text[max(text.find("Code: "), 0) :]
    code = re.match(r"Code: (\d+)", text)
    return Refused(text[:4000], int(code[1]) if code else 1000)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _form(kind: str, body: bytes) -> dict[str, str]:
    """The plain fields of a multipart form. A file among them would be a table to join with: refused."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n" + body)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None:
            raise Refused("external data is refused: this server reads its own tables and nothing else", BAD_REQUEST)
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = payload.decode("utf-8", "replace")
    return fields
