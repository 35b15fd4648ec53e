"""The collector: the only writer of the topic `calls`. It answers 200 after the fsync, and drops nothing.

    POST /v1/records    Authorization: Bearer TOKEN; one JSON record a line; optionally Content-Encoding: gzip
                        X-Complete-To-Ms: everything that the switch wrote until then has been delivered, this post included
    GET  /v1/health     {"ready", "spooling", "waiting", "spool_bytes", "why"}

Answers, each with {"error": words}: 401 token, 403 source, 408 slow, 413 too large, 415 encoding, 429 rate, 503 full, busy or not
ready (the last two with Retry-After). Whoever posts keeps its records until a 200, and may post twice: `judge` knows repeats.
Connections that show no token have places of their own (`switches.gate`): they never crowd out those with one.
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
from typing import NamedTuple, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

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


class Credential(Protocol):
    """What a token stands for: `books.credentials.Credential` is one."""

    @property
    def tenants(self) -> tuple[str, ...]: ...
    @property
    def switch(self) -> str: ...
    def allows(self, address: str) -> bool: ...


@dataclass(frozen=True)
class Limits:
    """A bound on everything that can grow, and what happens there."""

    body_bytes: int = 4 << 20  # of a post, also unpacked: 413
    body_s: float = 30.0  # until all of a post is here: 408
    line_bytes: int = 512 << 10  # of a record: the rest is cut; it is a reject anyway
    post_records: int = 100_000  # of a post: 413
    records_per_s: float = 100_000.0  # of a switch, whatever its credential: 429
    burst_records: float = 200_000.0
    queue_bytes: int = 64 << 20  # waiting for the disk: 503
    spool_bytes: int = 4 << 30  # on the disk while the journal is away: 503
    requests: int = 128  # with a good token, at the same time: 503
    credential_requests: int = 32  # of one switch, of those: 503
    places: Places = field(default_factory=Places)  # of connections, with and without a token
    token_chars: int = 256  # a longer one is none of ours
    credential_s: float = 5.0  # how long a token's meaning is remembered
    credentials: int = 1024  # how many are


class Posted(NamedTuple):
    """What is told of a post: how it was answered, and how many records were taken."""

    status: int
    records: int


class Ticked(NamedTuple):
    """What is told of a tick that was written."""

    config_version: int


class Spooled(NamedTuple):
    """What is told at each tick, written or not: what waits for the journal, and why."""

    waiting: int
    bytes: int
    why: str


class _Refused(Exception):
    def __init__(self, status: int, words: str, retry_s: float = 0.0) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.retry_s = retry_s

    def response(self) -> JSONResponse:
        headers = {"Retry-After": str(max(1, round(self.retry_s)))} if self.retry_s else {}
        return JSONResponse({"error": self.words}, self.status, headers)


class Collector:
    """The state of a running collector, and its routes."""

    def __init__(
        self,
        *,
        journal: Journal,
        spool: Path,
        find_credential: Callable[[str], Credential | None],
        config_version: Callable[[], int],
        topic: str = CALLS,
        partitions: int = CALLS_PARTITIONS,
        limits: Limits = Limits(),
        tick_s: float = 5.0,
        now_ms: Callable[[], int] = wall_clock_ms,
        tell: Report = ignore,
    ) -> None:
        self._journal = journal
        self._tell = tell
        self._topic = topic
        self._partitions = partitions
        self._limits = limits
        self._tick_s = tick_s
        self._now_ms = now_ms
        self._find_credential = find_credential
        self._config_version = config_version
        self._version: int | None = None
        self._created = False
        self._ready = False
        self._not_ready_because = "the first tick is not written yet"
        self._complete_to_ms: dict[str, int] = {}
        self._known: dict[str, tuple[float, Credential]] = {}
        self._buckets: dict[str, Bucket] = {}
        self._lanes = [self._lane(number, Spool(spool, number, partitions)) for number in range(partitions)]
        self._books_away = Once(_log.error)
        self._committer = Committer(self._lanes, limits.queue_bytes)
        self.gate = Gate(limits.places)
        self._under_way = Counter[str]()
        # Tokens that nobody has seen yet are looked up apart: a known one does not wait behind guesses.
        self._guesses = ThreadPoolExecutor(2, thread_name_prefix="collector-guesses")

    def _lane(self, number: int, spool: Spool) -> Lane:
        def open_writer() -> Writer:
            if not self._created:
                self._journal.create(self._topic, self._partitions)
                self._created = True
            return self._journal.writer(self._topic, number)

        return Lane(f"{self._topic}/{number}", open_writer, spool, self._has_room, self._now_ms)

    def _has_room(self, size: int) -> bool:
        return sum(lane.spool_bytes for lane in self._lanes) + size <= self._limits.spool_bytes

    @property
    def fault(self) -> str:
        """Why nothing can be written any more, or "". Then the process must be started anew."""
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
                _log.error("no tick was written: %s", error)
            self._tell(self._spooled())
            pause_s = self._tick_s if self._ready else min(self._tick_s, 0.5)
            await asyncio.sleep(max(0.05, pause_s - (time.monotonic() - began_s)))

    async def _tick(self) -> None:
        """One tick into every partition, behind every record acknowledged before. No record is taken before the first."""
        try:
            self._version = await run_in_threadpool(self._config_version)
        except Exception as error:  # noqa: BLE001 - the books may be away in any way; the version in force goes on
            self._not_ready_because = f"the config version in force is not known: {error}"
            self._books_away.begins(f"the config version could not be read, {self._version} stays in force: {error}")
        else:
            self._books_away.ends(f"the config version is read again: {self._version} is in force")
        if self._version is None:
            return
        now_ms = self._now_ms()
        tick = Tick(at_ms=now_ms, config_version=self._version, complete_to_ms=dict(self._complete_to_ms))
        entry = Entry(TICK_KEY, msgspec.json.encode(tick), now_ms)
        await asyncio.wrap_future(self._committer.submit({number: [entry] for number in range(self._partitions)}))
        self._ready = True
        self._tell(Ticked(self._version))

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
            response = Response(status_code=400)  # nobody hears it; nothing was taken
        self._tell(Posted(response.status_code, accepted))
        return response

    async def _accept(self, request: Request) -> int:
        credential = await self._credential(request)
        with self._place(request, credential.switch):
            return await self._accept_of(request, credential)

    @contextlib.contextmanager
    def _place(self, request: Request, switch: str) -> Iterator[None]:
        """A place among those with a good token; one switch has no more than its share of them."""
        mine, every = self._under_way[switch], self._under_way.total()
        if mine >= self._limits.credential_requests:
            raise _Refused(503, f"busy: {mine} posts of {switch} are under way already", 1)
        if every >= self._limits.requests or not self.gate.trust(request.scope):
            raise _Refused(503, f"busy: {every} posts are under way already", 1)
        self._under_way[switch] += 1
        try:
            yield
        finally:
            self._under_way[switch] -= 1
            if not self._under_way[switch]:
                del self._under_way[switch]

    async def _accept_of(self, request: Request, credential: Credential) -> int:
        switch = credential.switch
        bucket = self._buckets.get(switch)
        if bucket is None:
            bucket = self._buckets[switch] = Bucket(self._limits.records_per_s, self._limits.burst_records, time.monotonic())
        if wait_s := bucket.wait_s(time.monotonic()):
            raise _Refused(429, f"{switch} posts more than {self._limits.records_per_s:g} records a second", wait_s)
        complete_to_ms = _complete_to_ms(request)
        lines = lines_of(await self._body(request), self._limits.line_bytes)
        if len(lines) > (most := self._limits.post_records):
            raise _Refused(413, f"a post may have {most} records, this one has {len(lines)}: post fewer at once")
        if not self._ready:
            raise _Refused(503, f"not ready: {self._not_ready_because}", 1)
        bucket.take(len(lines))
        if lines:
            await self._keep(parted(credential.tenants, switch, lines, self._partitions, self._now_ms()))
        if complete_to_ms is not None:  # a clock that runs ahead of ours is believed only up to now, and time never runs back
            self._complete_to_ms[switch] = max(self._complete_to_ms.get(switch, 0), min(complete_to_ms, self._now_ms()))
        return len(lines)

    async def _keep(self, parts: Mapping[int, list[Entry]]) -> None:
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
        credential = await self._look_up(token) if len(token) <= self._limits.token_chars else None
        if credential is None:
            raise _Refused(401, "the token is not known, or not any more")
        source = plain_address(request.client.host if request.client else "")
        if not credential.allows(source):
            _log.warning("%s posts from %s, which its credential does not list", credential.switch, source)
            raise _Refused(403, f"{source} is not among the sources of this token")
        return credential

    async def _look_up(self, token: str) -> Credential | None:
        """What a token stands for, remembered for a few seconds, and as long as the books are away."""
        now_s = time.monotonic()
        known = self._known.get(token)
        if known and now_s - known[0] < self._limits.credential_s:
            return known[1]
        try:
            if known:
                credential = await run_in_threadpool(self._find_credential, token)
            else:
                credential = await asyncio.get_running_loop().run_in_executor(self._guesses, self._find_credential, token)
        except Exception as error:  # the books may be away in any way
            self._books_away.begins(f"credentials cannot be looked up, known ones stay good: {error}")
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
        if len(self._known) >= self._limits.credentials:
            self._known.pop(next(iter(self._known)))
        self._known[token] = (now_s, credential)
        return credential

    async def _body(self, request: Request) -> bytes:
        limit = self._limits.body_bytes
        too_large = _Refused(413, f"a post may have {limit} bytes, unpacked too: post fewer records at once")
        encoding = ", ".join(request.headers.getlist("content-encoding")).strip().lower() or "identity"
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise _Refused(415, f"Content-Encoding {encoding[:100]} is not understood: gzip, or none")
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise too_large
        except TimeoutError as error:
            raise _Refused(408, f"the post did not end within {self._limits.body_s:g} s") from error
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
    topic: str = CALLS,
    partitions: int = CALLS_PARTITIONS,
    limits: Limits = Limits(),
    tick_s: float = 5.0,
    now_ms: Callable[[], int] = wall_clock_ms,
    listening: Callable[[int], None] | None = None,
    stop: Event | None = None,
    tell: Report = ignore,
    trusted_proxies: tuple[str, ...] = (),
) -> None:
    """Runs until a signal or `stop`. Then what was posted is written, and both the journal and the spool are given free.

    `spool`: a directory of the collector's own, best on another disk than the journal. `find_credential` and `config_version` are
    called in threads. `listening` is told the port. `tell` hears `Posted`, `Ticked` and `Spooled`.
    Whom a request comes from is the address of its connection, unless that is one of `trusted_proxies` (addresses or networks),
    which say it in X-Forwarded-For.
    """
    collector = Collector(
        journal=journal,
        spool=spool,
        find_credential=find_credential,
        config_version=config_version,
        topic=topic,
        partitions=partitions,
        limits=limits,
        tick_s=tick_s,
        now_ms=now_ms,
        tell=tell,
    )
    served = config(collector.app(), collector.gate, trusted_proxies, ws="none", timeout_graceful_shutdown=10)
    Server(served, lambda: bool(collector.fault) or bool(stop and stop.is_set()), listening).run_at(host, port)
    if collector.fault:
        raise RuntimeError(f"the collector stopped: {collector.fault}")
