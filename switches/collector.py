"""The collector: the only writer of the topic `calls`. It answers 200 after the fsync, and drops no record.

    POST /v1/records    Authorization: Bearer TOKEN; one JSON record per line; optionally Content-Encoding: gzip
                        X-Complete-To-Ms: all records that the switch wrote until then have been delivered, with those of this post
    GET  /v1/health     {"ready", "spooling", "waiting", "spool_bytes", "why"}

Errors, each with {"error": text}: 401 token, 403 source, 408 slow, 413 too large, 415 encoding, 429 rate, 503 full, busy or not ready
(the last two with Retry-After). A client stores its records until it gets a 200, and may post them twice: `judge` knows repeats.
Connections without a token are limited apart (`switches.gate`): they never crowd out those with one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import NamedTuple

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from books.credentials import Credential
from core.clock import wall_clock_ms
from core.newcomers import plain_address
from core.record import TICK_KEY, Tick
from core.reporting import Report, ignore
from core.topics import CALLS, CALLS_PARTITIONS
from journal import Entry, Journal, JournalError, TooLarge, Writer
from switches.bucket import Bucket
from switches.committer import Busy, Committer
from switches.gate import Gate, Places, Server, config
from switches.intake import NotGzip, TooLong, TooManyMembers, check_tenant, lines_of, parted, unpacked
from switches.lane import Lane, SpoolFull
from switches.once import Once
from switches.spool import Spool

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """The limit of each thing that can grow, and the answer at the limit."""

    body_bytes: int = 4 << 20  # of a post, also unpacked: 413
    body_s: float = 30.0  # until all of a post has arrived: 408
    line_bytes: int = 512 << 10  # of a record, which is cut there: one so long is a reject anyway
    post_records: int = 100_000  # of a post: 413
    records_per_s: float = 100_000.0  # of a switch, whatever its credential: 429
    burst_records: float = 200_000.0
    queue_bytes: int = 64 << 20  # waiting for the disk: 503
    spool_bytes: int = 4 << 30  # on the disk while the journal is away: 503
    requests: int = 128  # with a good token, at the same time: 503
    credential_requests: int = 32  # of one switch, of those: 503
    places: Places = field(default_factory=Places)
    token_chars: int = 256  # a longer one is unknown without a look-up
    credential_s: float = 5.0  # how long a credential is cached
    credentials: int = 1024  # how many are cached


class Posted(NamedTuple):
    """Reported for each post: its HTTP status, and how many records were accepted."""

    status: int
    records: int


class Ticked(NamedTuple):
    """Reported for each tick that was written."""

    config_version: int


class Spooled(NamedTuple):
    """Reported at each tick, written or not: what waits for the journal, and why."""

    waiting: int
    bytes: int
    why: str


class _Refused(Exception):
    def __init__(self, status: int, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_s = retry_s

    def response(self) -> JSONResponse:
        headers = {"Retry-After": str(max(1, round(self.retry_s)))} if self.retry_s else {}
        return JSONResponse({"error": str(self)}, self.status, headers)


@dataclass(eq=False, kw_only=True)
class Collector:
    """The state of a running collector, and its routes."""

    journal: Journal
    spool: Path
    find_credential: Callable[[str], Credential | None]
    config_version: Callable[[], int]
    partitions: int = CALLS_PARTITIONS
    limits: Limits = Limits()
    tick_s: float = 5.0
    report: Report = ignore

    def __post_init__(self) -> None:
        self._version: int | None = None
        self._created = False
        self._ready = False
        self._not_ready_because = "the first tick is not written yet"
        self._complete_to_ms: dict[str, int] = {}
        self._known: dict[str, tuple[float, Credential]] = {}
        self._buckets: dict[str, Bucket] = {}
        self._lanes = [self._lane(number, Spool(self.spool, number, self.partitions)) for number in range(self.partitions)]
        self._books_away = Once(_log.error)
        self._committer = Committer(self._lanes, self.limits.queue_bytes)
        self.gate = Gate(self.limits.places)
        self._in_progress = Counter[str]()
        # Tokens that are not cached are looked up in threads of their own: a known one does not wait behind guesses.
        self._guesses = ThreadPoolExecutor(2, thread_name_prefix="collector-guesses")

    def _lane(self, number: int, spool: Spool) -> Lane:
        def open_writer() -> Writer:
            if not self._created:
                self.journal.create(CALLS, self.partitions)
                self._created = True
            return self.journal.writer(CALLS, number)

        return Lane(f"{CALLS}/{number}", open_writer, spool, self._has_room, wall_clock_ms)

    def _has_room(self, size: int) -> bool:
        return sum(lane.spool_bytes for lane in self._lanes) + size <= self.limits.spool_bytes

    @property
    def fault(self) -> str:
        """Why nothing can be written any more, or "". Then the process must be restarted."""
        return self._committer.fault

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/records", self._records, methods=["POST"]),
                Route("/v1/health", self._health, methods=["GET"]),
            ],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(self._tick_for_ever())
        try:
            yield
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
            self._guesses.shutdown(wait=False, cancel_futures=True)
            await run_in_threadpool(self._committer.close)

    # --- ticks -----------------------------------------------------------------------------------------------------------------

    async def _tick_for_ever(self) -> None:
        while True:
            began_s = time.monotonic()
            try:
                await self._tick()
            except (Busy, SpoolFull, JournalError) as error:
                _log.error("no tick was written to %s: %s", CALLS, error)
            self.report(self._spooled())
            pause_s = self.tick_s if self._ready else min(self.tick_s, 0.5)
            await asyncio.sleep(max(0.05, pause_s - (time.monotonic() - began_s)))

    async def _tick(self) -> None:
        """One tick into each partition, after every record that was acknowledged before it. No record is accepted before the first tick."""
        try:
            self._version = await run_in_threadpool(self.config_version)
        except Exception as error:  # noqa: BLE001 - the books may be away in any way; the version in force stays
            self._not_ready_because = f"the config version in force is not known: {error}"
            self._books_away.begins(f"the config version could not be read, {self._version} stays in force: {error}")
        else:
            self._books_away.ends(f"the config version is read again: {self._version} is in force")
        if self._version is None:
            return
        now_ms = wall_clock_ms()
        tick = Tick(at_ms=now_ms, config_version=self._version, complete_to_ms=dict(self._complete_to_ms))
        entry = Entry(TICK_KEY, msgspec.json.encode(tick), now_ms)
        await asyncio.wrap_future(self._committer.submit({number: [entry] for number in range(self.partitions)}))
        self._ready = True
        self.report(Ticked(self._version))

    def _spooled(self) -> Spooled:
        why = self._committer.fault or next((lane.away_because for lane in self._lanes if lane.away_because), "")
        size = sum(lane.spool_bytes for lane in self._lanes)
        return Spooled(sum(lane.waiting for lane in self._lanes), size, why if self._ready else self._not_ready_because)

    # --- records ---------------------------------------------------------------------------------------------------------------

    async def _records(self, request: Request) -> Response:
        accepted = 0
        response: Response
        try:
            accepted = await self._accept(request)
            response = JSONResponse({"accepted": accepted})
        except _Refused as refused:
            response = refused.response()
            if refused.status == 401:
                self.gate.distrust(request.scope)
        except ClientDisconnect:
            response = Response(status_code=400)  # the client has gone; no record was accepted
        self.report(Posted(response.status_code, accepted))
        return response

    async def _accept(self, request: Request) -> int:
        credential = await self._credential(request)
        with self._under_limits(request, credential.switch):
            return await self._accept_of(request, credential)

    @contextlib.contextmanager
    def _under_limits(self, request: Request, switch: str) -> Iterator[None]:
        """Counts a post with a valid token against the limits of all posts and of its switch."""
        mine, every = self._in_progress[switch], self._in_progress.total()
        if mine >= self.limits.credential_requests:
            raise _Refused(503, f"busy: {mine} posts of {switch} are in progress already", 1)
        if every >= self.limits.requests or not self.gate.trust(request.scope):
            raise _Refused(503, f"busy: {every} posts are in progress already", 1)
        self._in_progress[switch] += 1
        try:
            yield
        finally:
            self._in_progress[switch] -= 1
            if not self._in_progress[switch]:
                del self._in_progress[switch]

    async def _accept_of(self, request: Request, credential: Credential) -> int:
        switch = credential.switch
        bucket = self._buckets.get(switch)
        if bucket is None:
            bucket = self._buckets[switch] = Bucket(self.limits.records_per_s, self.limits.burst_records, time.monotonic())
        if wait_s := bucket.wait_s(time.monotonic()):
            raise _Refused(429, f"{switch} posts more than {self.limits.records_per_s:g} records per second", wait_s)
        complete_to_ms = _complete_to_ms(request)
        lines = lines_of(await self._body(request), self.limits.line_bytes)
        if len(lines) > (most := self.limits.post_records):
            raise _Refused(413, f"a post may have {most} records, this one has {len(lines)}: post fewer at once")
        if not self._ready:
            raise _Refused(503, f"not ready: {self._not_ready_because}", 1)
        bucket.take(len(lines))
        if lines:
            await self._store(parted(credential.tenants, switch, lines, self.partitions, wall_clock_ms()))
        if complete_to_ms is not None:  # a clock ahead of ours counts only up to now, and the time never goes back
            self._complete_to_ms[switch] = max(self._complete_to_ms.get(switch, 0), min(complete_to_ms, wall_clock_ms()))
        return len(lines)

    async def _store(self, parts: Mapping[int, list[Entry]]) -> None:
        try:
            await asyncio.wrap_future(self._committer.submit(parts))
        except Busy as error:
            raise _Refused(503, f"busy: {error}", 1) from error
        except SpoolFull as error:
            raise _Refused(503, f"full: {error}", 5) from error
        except TooLarge as error:
            raise _Refused(413, f"the journal does not take a record of this size: {error}") from error

    async def _credential(self, request: Request) -> Credential:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _Refused(401, "the header Authorization: Bearer TOKEN is missing")
        token = token.strip()
        credential = await self._look_up(token) if len(token) <= self.limits.token_chars else None
        if credential is None:
            raise _Refused(401, "the token is not known, or not any more")
        source = plain_address(request.client.host if request.client else "")
        if not credential.allows(source):
            _log.warning("%s posts from %s, which is not among the sources of its credential: refused", credential.switch, source)
            raise _Refused(403, f"{source} is not among the sources of this token")
        if not credential.may("records", wall_clock_ms()):
            raise _Refused(403, "the token has expired, or may not post records")
        return credential

    async def _look_up(self, token: str) -> Credential | None:
        """The credential of a token, cached for a few seconds, and as long as the books are away."""
        now_s = time.monotonic()
        known = self._known.get(token)
        if known and now_s - known[0] < self.limits.credential_s:
            return known[1]
        try:
            if known:
                credential = await run_in_threadpool(self.find_credential, token)
            else:
                credential = await asyncio.get_running_loop().run_in_executor(self._guesses, self.find_credential, token)
        except Exception as error:  # the books may be away in any way
            self._books_away.begins(f"credentials cannot be looked up, cached ones stay valid: {error}")
            if known:
                return known[1]
            raise _Refused(503, "not ready: credentials cannot be looked up", 2) from error
        if credential is None:
            self._known.pop(token, None)
            return None
        try:
            for tenant in credential.tenants:
                check_tenant(tenant)
        except ValueError as error:
            raise _Refused(403, str(error)) from error
        if len(self._known) >= self.limits.credentials:
            self._known.pop(next(iter(self._known)))
        self._known[token] = (now_s, credential)
        return credential

    async def _body(self, request: Request) -> bytes:
        limit = self.limits.body_bytes
        too_large = _Refused(413, f"a post may have {limit} bytes, unpacked too: post fewer records at once")
        encoding = ", ".join(request.headers.getlist("content-encoding")).strip().lower() or "identity"
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise _Refused(415, f"Content-Encoding {encoding[:100]} is not supported: gzip, or none")
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise too_large
        except TimeoutError as error:
            raise _Refused(408, f"the post did not end within {self.limits.body_s:g} s") from error
        if encoding == "identity":
            return bytes(body)
        try:
            return await run_in_threadpool(unpacked, bytes(body), limit)  # other posts and the ticks do not wait for it
        except TooLong as error:
            raise too_large from error
        except TooManyMembers as error:
            raise _Refused(413, str(error)) from error
        except NotGzip as error:
            raise _Refused(400, str(error)) from error

    async def _health(self, _: Request) -> Response:
        spooled = self._spooled()
        return JSONResponse(
            {
                "ready": self._ready and not self._committer.fault,
                "spooling": bool(spooled.waiting),
                "waiting": spooled.waiting,
                "spool_bytes": spooled.bytes,
                "why": spooled.why,
            }
        )


def _complete_to_ms(request: Request) -> int | None:
    text = request.headers.get("x-complete-to-ms")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise _Refused(400, f"X-Complete-To-Ms {text[:40]!r} is not a time in ms")
    return int(text)


def serve(
    *,
    journal: Journal,
    spool: Path,
    find_credential: Callable[[str], Credential | None],
    config_version: Callable[[], int],
    host: str = "127.0.0.1",
    port: int = 0,
    partitions: int = CALLS_PARTITIONS,
    limits: Limits = Limits(),
    tick_s: float = 5.0,
    listening: Callable[[int], None] | None = None,
    stop: Event | None = None,
    report: Report = ignore,
    trusted_proxies: tuple[str, ...] = (),
) -> None:
    """Runs until a signal or `stop`. Then it writes what was posted, and releases the journal and the spool.

    `spool`: a directory of the collector alone, best on another disk than the journal. `find_credential` and `config_version` are
    called in threads. `listening` is called with the port. `report` gets `Posted`, `Ticked` and `Spooled`.
    A request comes from the address of its connection, or, where that is one of `trusted_proxies` (addresses or networks), from the
    address in X-Forwarded-For.
    """
    collector = Collector(
        journal=journal,
        spool=spool,
        find_credential=find_credential,
        config_version=config_version,
        partitions=partitions,
        limits=limits,
        tick_s=tick_s,
        report=report,
    )
    served = config(collector.app(), collector.gate, trusted_proxies, ws="none", timeout_graceful_shutdown=10)
    Server(served, lambda: bool(collector.fault) or bool(stop and stop.is_set()), listening).run_at(host, port)
    if collector.fault:
        raise RuntimeError(f"the collector stopped: {collector.fault}")
