"""The API for switches: where a call goes, and whether it may go at all.

    POST /v1/route     Authorization: Bearer TOKEN   {"account", "b_number", "a_number"?, "lrn"?, "tenant"?}
                       -> {"routes": [{"rank", "gateway", "carrier", "address", "number"}], "cause", "why", "lrn", "view", "note"}
    POST /v1/screen    {"account"?, "trunk"?, "a_raw"?, "b_raw", "tenant"?} -> {"code", "order_id", "number"}
    GET  /v1/lists     ?tenant= -> [{"list", "kind", "value", "account", "until_ms", "why", "who", "id", "switches": {switch: acknowledged}, ...}]
    POST /v1/lists     {"list": "allow"|"deny", "kind", "value", "why", "account"?, "ttl"?, "remove"?, "tenant"?} -> {"value"}
    GET  /v1/alerts    ?tenant=&limit=                  -> the newest alerts, what still passes first
    GET  /v1/alerts/ID                                  -> one of them
    POST /v1/alerts/ID/verdict   {"verdict", "why", "quiet"?, "tenant"?} -> what followed; the same again changes nothing
    GET  /v1/health    {"ready"}
    GET  /v1/openapi.json                               -> all of it, as OpenAPI (api/openapi.py)

Errors, each with {"error": text}: 400 body, 401 token, 403 source, tenant, scope or expiry, 404 no such alert, 503 nothing published yet, or the
books do not answer.
A token is a credential of the books (`ringfence credential add`), by its hash. A call waits for each answer: bodies are read and written by msgspec,
without FastAPI's own models.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api import alerts, lists, openapi
from books import Unavailable
from books.credentials import Credential
from core.clock import wall_clock_ms
from services.asking import AskedRoute, AskedScreen, Asking
from services.errors import ServiceError, UnknownName
from services.routes import digits_of

CREDENTIAL_S = 5.0
"""How long a credential is cached: one that is revoked is valid for so long."""
MOST_CREDENTIALS = 1_024
BODY_BYTES = 16_384

_route = msgspec.json.Decoder(AskedRoute)
_screen = msgspec.json.Decoder(AskedScreen)
_entry = msgspec.json.Decoder(lists.AskedEntry)
_verdict = msgspec.json.Decoder(alerts.AskedVerdict)
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

    async def asked_tenant(request: Request, scope: str) -> str:
        return tenant_of(await doors.credential(request, scope), request.query_params.get("tenant", ""))

    async def read_lists(request: Request) -> Response:
        return _answer(await run_in_threadpool(lists.listed, asking.engine, await asked_tenant(request, "lists")))

    async def change_list(request: Request) -> Response:
        asked = await _asked(request, _entry)
        credential = await doors.credential(request, "lists")
        tenant = tenant_of(credential, asked.tenant)
        return _answer(await run_in_threadpool(lists.change, asking.engine, tenant, asked, f"api {credential.switch}"))

    async def read_alerts(request: Request) -> Response:
        tenant = await asked_tenant(request, "alerts")
        if not (limit := request.query_params.get("limit", "100")).isdecimal() or len(limit) > 9:
            raise Refused(400, "limit is a whole number, 1 to 1,000")
        return _answer(await run_in_threadpool(alerts.listed, asking.engine, tenant, int(limit)))

    async def read_alert(request: Request) -> Response:
        tenant = await asked_tenant(request, "alerts")
        return _answer(await run_in_threadpool(alerts.one, asking.engine, tenant, request.path_params["finding_id"]))

    async def give_verdict(request: Request) -> Response:
        asked = await _asked(request, _verdict)
        credential = await doors.credential(request, "verdicts")
        tenant, who = tenant_of(credential, asked.tenant), f"api {credential.switch}"
        return _answer(await run_in_threadpool(alerts.give, asking.engine, tenant, request.path_params["finding_id"], asked, who))

    async def document(request: Request) -> Response:
        return _answer(openapi.document())

    found = FastAPI(title="Ringfence", openapi_url=None, docs_url=None, redoc_url=None)
    for path, handler in (("/v1/route", route), ("/v1/screen", screen)):
        found.router.routes.append(Route(path, _guarded(handler), methods=["POST"]))

    for method, path, handler in (
        ("GET", "/v1/lists", read_lists), ("POST", "/v1/lists", change_list), ("GET", "/v1/alerts", read_alerts),
        ("GET", "/v1/alerts/{finding_id}", read_alert), ("POST", "/v1/alerts/{finding_id}/verdict", give_verdict),
        ("GET", "/v1/openapi.json", document),
    ):  # fmt: skip
        found.router.routes.append(Route(path, _guarded(handler), methods=[method]))

    @found.get("/v1/health")
    def health() -> dict[str, bool]:
        return {"ready": asking.refresh()}

    return found


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
        except UnknownName as unknown:
            return Response(_encode({"error": str(unknown)}), 404, media_type="application/json")
        except (ServiceError, ValueError) as wrong:
            return Response(_encode({"error": str(wrong)}), 400, media_type="application/json")
        except Unavailable:
            return Response(_encode({"error": "the books do not answer: ask again"}), 503, media_type="application/json")

    return guarded
