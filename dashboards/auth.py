"""Authentication of browsers, in front of Streamlit, for HTTP and the page's WebSocket; and the security headers of every answer.

A browser without the cookie costs a few bytes and opens no session. A browser sends the cookie along for pages of other sites too, even of
other ports of this machine: so the WebSocket opens only for the page's own Origin, and an HTTP request from another Origin is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards import codes, oidc
from dashboards.access import MAX_NAME, SESSION_S, own_path, same, session_cookie, session_of
from dashboards.oidc import Oidc
from dashboards.sign_in_form import NO_BOOKS, NOT_KNOWN, SPENT, WRONG, page_of_form, wrong_of
from dashboards.throttle import Throttle

MAX_BODY = 4_096
OPEN = ("/_stcore/health",)
"""Reveals nothing, and is queried by monitoring."""
CLOSED = (
    "/_stcore/agent",
    "/_stcore/metrics",
    "/_stcore/script-health-check",
    "/oauth2callback",
    "/auth/",
)
"""Paths of Streamlit that this page does not need."""

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'"
)
"""The browser fetches nothing from other hosts, whatever text the page shows. Streamlit's page has one inline script."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PORT_OF = {"http": "80", "https": "443"}
MAX_CHECKED = 2
"""Passwords that are checked at the same time: each takes 64 MB and 50 ms of a processor."""
MAX_DELAYED = 64
"""Answers to wrong tokens that are delayed at the same time; beyond that, the answer is 429 at once."""


def always(scope: Scope, for_good: bool) -> bool:
    """No connection limit."""
    return True


def nobody(name: str, password: str) -> bool:
    """No users."""
    return False


class AuthMiddleware:
    """ASGI middleware. `trust` is called with each authenticated connection; `folder`: the one-time codes (`dashboards.codes`); `key` signs
    the sessions. `check`: whether a password is a user's; it runs in a thread, and what it raises is shown as books that do not answer.
    `brand`: the name of the customers' portal at a host name, "" = the desk. `oidc`: the company's OpenID provider; `known`: whether a name that
    it gives is a user's."""

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        key: bytes,
        names: frozenset[str],
        cookie: str,
        clock_s: Callable[[], float] = time.time,
        folder: Path | None = None,
        trust: Callable[[Scope, bool], bool] = always,
        check: Callable[[str, str], bool] = nobody,
        brand: Callable[[str], str] = lambda host: "",
        oidc: Oidc | None = None,
        known: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self._brand, self._oidc, self._known = brand, oidc, known
        self._key, self._check, self._checking = key, check, asyncio.Semaphore(MAX_CHECKED)
        self._at_provider = asyncio.Semaphore(MAX_CHECKED)  # its own: a provider that hangs must not keep passwords waiting
        self._app, self._token, self._names, self._cookie, self._clock_s = app, token, names, cookie, clock_s
        self._folder, self._trust = folder, trust
        self._throttle = Throttle()
        self._delayed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        is_socket = scope["type"] == "websocket"
        inside = session_of(self._key, cookies_of(headers).get(self._cookie, ""), int(self._clock_s())) is not None
        if len(hosts) != 1 or host_of(hosts[0]) not in self._names:
            # A foreign name that resolves to this machine: DNS rebinding.
            refusal = PlainTextResponse("This host name is not served here. RINGFENCE_PAGES_NAMES lists those that are.", 421)
            await refuse(refusal, scope, receive, send)
        elif closed(scope["path"]):
            await refuse(PlainTextResponse("Not found.", 404), scope, receive, send)
        elif not is_socket and scope["path"] == "/enter":  # a token may be entered from any site
            await (await self._enter(Request(scope, receive), inside))(scope, receive, with_headers(send))
        elif not is_socket and self._oidc is not None and scope["path"] in (oidc.START, oidc.BACK):  # comes back from the provider's site
            await (await self._elsewhere(self._oidc, Request(scope, receive)))(scope, receive, with_headers(send))
        elif not is_socket and scope["path"] == "/leave":
            left = RedirectResponse("/enter", 303)
            left.delete_cookie(self._cookie, httponly=True, samesite="lax")
            await left(scope, receive, with_headers(send))
        elif (is_socket or origins) and not (len(origins) == 1 and own_origin(origins[0], hosts[0], scope)):
            await refuse(PlainTextResponse("Requests from pages of other sites are refused.", 403), scope, receive, send)
        elif inside and not self._trust(scope, is_socket):
            await refuse(PlainTextResponse("Too many open browsers: close a page.", 503), scope, receive, send)
        elif inside or scope["path"] in OPEN:
            await self._app(scope, receive, with_headers(send))
        elif not is_socket and page_path(scope["path"]):
            query = scope["query_string"].decode("latin-1")
            after = "" if scope["path"] == "/" and not query else "?next=" + quote(scope["path"] + (f"?{query}" if query else ""), safe="")
            await RedirectResponse(f"/enter{after}", 303)(scope, receive, with_headers(send))
        else:
            await refuse(PlainTextResponse("Sign in first, at /enter.", 401), scope, receive, send)

    async def _enter(self, request: Request, inside: bool) -> Response:
        code, form = "", {}
        if request.method == "POST":
            form = fields_of((await bounded_body(request)).decode("utf-8", "replace"))
            entered, after = form.get("look", ""), own_path(form.get("next", ""))
        else:
            entered, after = request.query_params.get("look", ""), own_path(request.query_params.get("next", ""))
            code = request.query_params.get("code", "")
        name, password = form.get("name", "").strip(), form.get("password", "")
        address, brand = request.client.host if request.client else "", self._brand(host_of(request.headers.get("host", "")))
        user = ""
        right = same(entered, self._token) or (bool(code) and self._folder is not None and codes.take(self._folder, code, self._clock_s()))
        if not right and password and 0 < len(name) <= MAX_NAME:
            try:
                async with self._checking:
                    right = await asyncio.to_thread(self._check, name, password)
            except Exception:  # noqa: BLE001 - whatever the books raise, nobody gets in and a person is told why
                return self._form(NO_BOOKS, after, 503, brand)
            user = name if right else ""
        if not right and inside and not (entered or password):
            return RedirectResponse(after, 303)  # already signed in: back to the page
        if not right:
            if not (entered or code or password or name):
                return self._form("", after, 200, brand)
            return await self._wrong(address, WRONG if entered else SPENT if code else NOT_KNOWN, after, brand)
        self._throttle.right(address)
        return self._inside(request, user, after)

    async def _elsewhere(self, provider: Oidc, request: Request) -> Response:
        """The way to the company's provider, and back from it."""
        back, now_s = str(request.url.replace(path=oidc.BACK, query="")), int(self._clock_s())
        try:
            async with self._at_provider:
                if request.url.path == oidc.START:
                    begun = await asyncio.to_thread(provider.begin, back, own_path(request.query_params.get("next", "")), now_s)
                    answer = RedirectResponse(begun.url, 303)
                    answer.set_cookie(f"{self._cookie}_oidc", begun.cookie, max_age=oidc.WAIT_S, path=oidc.BACK, httponly=True, samesite="lax",
                        secure=request.url.scheme == "https")  # fmt: skip
                    return answer
                brought = cookies_of(request.headers).get(f"{self._cookie}_oidc", "")
                name, after = await asyncio.to_thread(provider.end, request.query_params, brought, back, now_s)
                if not await asyncio.to_thread(self._known, name):
                    add = f"ringfence user add {name} --no-password"
                    raise oidc.Refused(f"You are {name} there, and no such user may sign in here. A tenant admin adds you: {add}")
        except oidc.Refused as wrong:
            return self._form(wrong_of(str(wrong)), "/", 403, "")
        except Exception:  # noqa: BLE001 - whatever the books raise, nobody gets in and a person is told why
            return self._form(NO_BOOKS, "/", 503, "")
        entered = self._inside(request, name, own_path(after))
        entered.delete_cookie(f"{self._cookie}_oidc", path=oidc.BACK, httponly=True, samesite="lax")
        return entered

    def _inside(self, request: Request, user: str, after: str) -> Response:
        """To the page, with the cookie of a session."""
        answer = RedirectResponse(after, 303)
        answer.set_cookie(
            self._cookie,
            session_cookie(self._key, user, int(self._clock_s())),
            max_age=SESSION_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    def _form(self, message: str, after: str, status: int, brand: str) -> Response:
        return page_of_form(message, after, status, brand, self._oidc.provider.label if self._oidc else "")

    async def _wrong(self, address: str, message: str, after: str, brand: str) -> Response:
        wait_s = self._throttle.wrong(address, self._clock_s())
        if wait_s and self._delayed >= MAX_DELAYED:
            answer = self._form(message, after, 429, brand)
            answer.headers["Retry-After"] = str(max(1, round(wait_s)))
            return answer
        self._delayed += 1
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._delayed -= 1
        return self._form(message, after, 401, brand)


def page_path(path: str) -> bool:
    """Whether a path is that of a page: one name, as in the address that a person sends to another.

    >>> page_path("/"), page_path("/alerts"), page_path("/static/js/index.js"), page_path("/_stcore/health"), page_path("/favicon.png")
    (True, True, False, False, False)
    """
    return all(c.isascii() and (c.isalnum() or c == "-") for c in path.removeprefix("/")) and len(path) <= 64


def own_origin(origin: str, host: str, scope: Scope) -> bool:
    """Whether an Origin is the page's own: scheme, name and port as in the Host header.

    >>> direct = {"scheme": "ws", "server": ("127.0.0.1", 8473)}
    >>> [own_origin(o, "127.0.0.1:8473", direct) for o in ("http://127.0.0.1:8473", "http://127.0.0.1:9999", "https://127.0.0.1:8473")]
    [True, False, False]
    >>> own_origin("http://localhost:8473", "127.0.0.1:8473", direct), own_origin("null", "127.0.0.1:8473", direct)
    (False, False)
    >>> own_origin("https://pages.example.net", "pages.example.net", direct)  # behind a proxy with TLS
    True
    """
    scheme, _, authority = origin.lower().partition("://")
    if scheme not in PORT_OF or with_port(authority, scheme) != with_port(host.lower(), scheme):
        return False
    own = "https" if scope["scheme"] in ("https", "wss") else "http"
    if scheme == own:
        return own == "https" or host_of(host) in LOOPBACK or port_of(host) == str((scope.get("server") or ("", 0))[1])
    # A proxy that is not among those whose X-Forwarded-Proto counts: then it is the one with TLS that a name other than loopback has.
    return scheme == "https" and host_of(host) not in LOOPBACK


def port_of(host: str) -> str:
    """The port in a Host header, or "".

    >>> port_of("127.0.0.1:8473"), port_of("[::1]:8473"), port_of("[::1]"), port_of("pages.example.net")
    ('8473', '8473', '', '')
    """
    _, colon, port = host.rpartition(":")
    return port if colon and port.isascii() and port.isdigit() else ""


def with_port(host: str, scheme: str) -> str:
    """A name with its port, even if that is the scheme's default."""
    return host if port_of(host) else f"{host}:{PORT_OF[scheme]}"


def host_of(header: str) -> str:
    """The name in a Host header, without the port.

    >>> host_of("127.0.0.1:8473"), host_of("[::1]:8473"), host_of("Pages.Example.net")
    ('127.0.0.1', '::1', 'pages.example.net')
    """
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() and not header.endswith("]") else header
    return name.strip("[]").rstrip(".").lower()


def closed(path: str) -> bool:
    """Whether a path is not served, however many slashes it begins with.

    >>> closed("/_stcore/agent/v1"), closed("//_stcore/metrics"), closed("/_stcore/stream")
    (True, True, False)
    """
    plain = "/" + path.lstrip("/")
    return any(plain.startswith(one) for one in CLOSED)


def fields_of(form: str) -> dict[str, str]:
    """The fields of a posted form.

    >>> fields_of("look=s3cret&x="), fields_of("a=1&" * 50)
    ({'look': 's3cret'}, {})
    """
    try:
        return {name: values[0] for name, values in parse_qs(form, max_num_fields=10).items()}
    except ValueError:
        return {}


def cookies_of(headers: Headers) -> Mapping[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


async def bounded_body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            return b""
    return body


async def refuse(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403})
    else:
        await answer(scope, receive, with_headers(send))


def with_headers(send: Send) -> Send:
    """Add the security headers to an answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
