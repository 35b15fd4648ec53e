"""The API for switches: where a call goes, and whether it may go at all.

    POST /v1/route     Authorization: Bearer TOKEN   {"account", "b_number", "a_number"?, "lrn"?, "tenant"?}
                       -> {"routes": [{"rank", "gateway", "carrier", "address", "number"}], "cause", "why", "lrn", "view", "note"}
    POST /v1/screen    {"account"?, "trunk"?, "a_raw"?, "b_raw", "tenant"?} -> {"code", "order_id", "number"}
    GET  /v1/lists     ?tenant= -> [{"list", "kind", "value", "account", "until_ms", "why", "who", "id", "switches": {switch: acknowledged}, ...}]
    POST /v1/lists     {"list": "allow"|"deny", "kind", "value", "why", "account"?, "ttl"?, "remove"?, "tenant"?} -> {"value"}
    GET  /v1/health    {"ready"}

Errors, each with {"error": text}: 400 body, 401 token, 403 source, tenant, scope or expiry, 503 nothing published yet, or the books do not answer.
A token is a credential of the books (`ringfence credential add`), by its hash. A call waits for each answer: bodies are read and written by msgspec,
without FastAPI's own models.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import msgspec
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from books import Engine, Unavailable, reading, writing
from books.credentials import Credential
from core import durations
from core.clock import wall_clock_ms
from services import lists
from services.asking import AskedRoute, AskedScreen, Asking
from services.errors import ServiceError
from services.routes import digits_of

CREDENTIAL_S = 5.0
"""How long a credential is cached: one that is revoked is valid for so long."""
MOST_CREDENTIALS = 1_024
BODY_BYTES = 16_384

_route = msgspec.json.Decoder(AskedRoute)
_screen = msgspec.json.Decoder(AskedScreen)
_encode = msgspec.json.Encoder().encode


class Refused(Exception):
    """An error for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Doors:
    """Who may ask. `find`: the credential of a token in the books, or None; it is called in a thread."""

    find: Callable[[str], Credential | None]
    known: dict[str, tuple[float, Credential | None]] = field(default_factory=dict)

    async def credential(self, request: Request, scope: str) -> Credential:
        """The credential of a request, if it may do this."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token or len(token) > 256:
            raise Refused(401, "a token is needed: Authorization: Bearer TOKEN")
        until_s, found = self.known.get(token, (0.0, None))
        if time.monotonic() >= until_s:
            found = await run_in_threadpool(self.find, token)
            if len(self.known) >= MOST_CREDENTIALS:
                self.known.clear()
            self.known[token] = time.monotonic() + CREDENTIAL_S, found
        if found is None:
            raise Refused(401, "the token is not known, or was revoked")
        if found.sources and not found.allows(request.client.host if request.client else ""):
            raise Refused(403, "the token is not valid from this address")
        if not found.may(scope, wall_clock_ms()):
            raise Refused(403, f"the token has expired, or has no scope {scope!r}")
        return found


def tenant_of(credential: Credential, asked: str) -> str:
    """The tenant of a question: one of the credential's, or its only one."""
    if asked and asked not in credential.tenants:
        raise Refused(403, f"the token is not valid for tenant {asked!r}")
    if not asked and len(credential.tenants) != 1:
        raise Refused(400, f"name the tenant, one of {', '.join(credential.tenants)}")
    return asked or credential.tenants[0]


def app(asking: Asking, find_credential: Callable[[str], Credential | None]) -> FastAPI:
    """The application."""
    doors = Doors(find_credential)

    async def route(request: Request) -> Response:
        asked = await _asked(request, _route)
        tenant = tenant_of(await doors.credential(request, "route"), asked.tenant)
        source = asking.lrn_of(tenant, asked)
        if source is None:
            return _answer(asking.route(tenant, asked))
        number = digits_of(asked.b_number)
        ported = source.known(number)
        if ported is None:
            ported = await run_in_threadpool(source.ask, number)
        return _answer(asking.route(tenant, asked, ported))

    async def screen(request: Request) -> Response:
        asked = await _asked(request, _screen)
        credential = await doors.credential(request, "route")
        return _answer(asking.screen(credential.switch, tenant_of(credential, asked.tenant), asked))

    async def read_lists(request: Request) -> Response:
        tenant = tenant_of(await doors.credential(request, "lists"), request.query_params.get("tenant", ""))
        return _answer(await run_in_threadpool(_lists_of, asking.engine, tenant))

    async def change_list(request: Request) -> Response:
        asked = await _asked(request, _entry)
        credential = await doors.credential(request, "lists")
        tenant = tenant_of(credential, asked.tenant)
        return _answer({"value": await run_in_threadpool(_change, asking.engine, tenant, asked, f"api {credential.switch}")})

    found = FastAPI(title="Ringfence", openapi_url=None, docs_url=None, redoc_url=None)
    for path, handler in (("/v1/route", route), ("/v1/screen", screen)):
        found.router.routes.append(Route(path, _guarded(handler), methods=["POST"]))

    found.router.routes.append(Route("/v1/lists", _guarded(read_lists), methods=["GET"]))
    found.router.routes.append(Route("/v1/lists", _guarded(change_list), methods=["POST"]))

    @found.get("/v1/health")
    def health() -> dict[str, bool]:
        return {"ready": asking.refresh()}

    return found


class AskedEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of a list; `ttl` as 7d, "" = without an end."""

    list: Literal["allow", "deny"]
    kind: lists.Kind
    value: str
    why: str
    remove: bool = False
    account: str = ""
    ttl: str = ""
    tenant: str = ""


_entry = msgspec.json.Decoder(AskedEntry)


def _lists_of(engine: Engine, tenant: str) -> list[dict[str, object]]:
    with reading(engine) as conn:
        states = lists.at_switches(conn)
        return [{**one._asdict(), "id": lists.listed_id(one), "switches": states.get(lists.listed_id(one), {})} for one in lists.every(conn, tenant)]


def _change(engine: Engine, tenant: str, asked: AskedEntry, who: str) -> str:
    now_ms = wall_clock_ms()
    try:
        until_ms = now_ms + int(durations.to_ms(asked.ttl)) if asked.ttl else 0
        with writing(engine) as conn:
            return lists.change(conn, asked.list, asked.kind, asked.value, asked.remove, who, asked.why, now_ms, tenant, asked.account, until_ms)
    except (ServiceError, ValueError) as wrong:
        raise Refused(400, str(wrong)) from None


Body = TypeVar("Body")


async def _asked(request: Request, decoder: msgspec.json.Decoder[Body]) -> Body:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES:
            raise Refused(400, f"the body is longer than {BODY_BYTES} bytes")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body cannot be read: {error}") from None


def _answer(value: object) -> Response:
    return Response(_encode(value), media_type="application/json")


def _guarded(handler: Callable[[Request], object]) -> Callable[[Request], object]:
    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)  # type: ignore[misc,no-any-return]
        except Refused as refused:
            return Response(_encode({"error": str(refused)}), refused.status, media_type="application/json")
        except Unavailable:
            return Response(_encode({"error": "the books do not answer: ask again"}), 503, media_type="application/json")

    return guarded
