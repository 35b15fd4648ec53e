"""The door: what a browser must show before it gets anything of the page, and the headers that say what it may do with it.

It stands before Streamlit, for HTTP and for the page's socket alike. Who has no token costs a few bytes and opens no session.
A page of another site, of another port of this machine too, has the cookie sent along by the browser: so the page's socket opens only for
an Origin that is the page's own, and an HTTP request that names another is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards import codes
from dashboards.access import LOOK_S, look_cookie, may_look, same
from dashboards.slowing import Slowing

MOST_BODY = 4_096
OPEN = ("/_stcore/health",)
"""What says nothing and is asked by whoever watches whether we live."""
CLOSED = (
    "/_stcore/agent",
    "/_stcore/metrics",
    "/_stcore/upload_file",
    "/_stcore/script-health-check",
    "/oauth2callback",
    "/auth/",
)
"""What Streamlit serves and this page has no use for."""

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'"
)
"""The browser itself fetches nothing from outside, whoever's text were to ask it to. Streamlit's page has a line of script of its own."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Ringfence</title>
<style>body{{background:#0b0f14;color:#dde5ee;font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:95vh;margin:0}}
form{{width:min(24rem,90vw)}}h1{{font-size:1.3rem}}label{{display:block;color:#93a1b1}}input,button{{font:inherit;width:100%;box-sizing:border-box;
padding:.6rem .8rem;border-radius:.4rem;border:1px solid #2b3744;background:#121922;color:inherit;margin-top:.4rem}}
button{{background:#2f81f7;border-color:#2f81f7;color:#fff;cursor:pointer}}p{{color:#93a1b1}}.wrong{{color:#ff7b72}}</style>
<form method="post" action="/enter"><h1>Ringfence</h1>{word}<label>Token to look
<input name="look" type="password" autocomplete="off" autofocus required></label><button>Look</button>
<p>It stands in <code>state/secrets.json</code> as <code>pages_look_token</code>.</p></form></html>"""
WRONG = '<p class="wrong">That is not the token.</p>'
SPENT = (
    '<p class="wrong">The code in this address was used already, or is older than an hour. '
    "<code>ringfence status</code> prints a new one.</p>"
)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PORT_OF = {"http": "80", "https": "443"}
MOST_WAITING = 64
"""Wrong tokens whose answers wait; one more is answered at once: later."""


def nobody(scope: Scope, for_good: bool) -> bool:
    """Where nothing counts connections."""
    return True


class Door:
    """ASGI middleware. `trust` is called with each connection that has shown what lets it in; `folder` is where codes are (`dashboards.codes`)."""

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        names: frozenset[str],
        cookie: str,
        clock_s: Callable[[], float] = time.time,
        folder: Path | None = None,
        trust: Callable[[Scope, bool], bool] = nobody,
    ) -> None:
        self._app, self._token, self._names, self._cookie, self._clock_s = app, token, names, cookie, clock_s
        self._folder, self._trust = folder, trust
        self._slowing = Slowing()
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        is_socket = scope["type"] == "websocket"
        inside = may_look(self._token, cookies_of(headers).get(self._cookie, ""), int(self._clock_s()))
        if len(hosts) != 1 or host_of(hosts[0]) not in self._names:
            # A name that points here and is not ours: another site's page that wants to be this one's.
            await refuse(PlainTextResponse("This is not the name of this page.", 421), scope, receive, send)
        elif closed(scope["path"]):
            await refuse(PlainTextResponse("There is nothing here.", 404), scope, receive, send)
        elif not is_socket and scope["path"] == "/enter":  # whoever has the token may come from anywhere with it
            await (await self._enter(Request(scope, receive), inside))(scope, receive, with_headers(send))
        elif (is_socket or origins) and not (len(origins) == 1 and own_origin(origins[0], hosts[0], scope)):
            await refuse(PlainTextResponse("Another site's page has nothing to ask here.", 403), scope, receive, send)
        elif inside and not self._trust(scope, is_socket):
            await refuse(PlainTextResponse("Too many browsers are looking: close a page.", 503), scope, receive, send)
        elif inside or scope["path"] in OPEN:
            await self._app(scope, receive, with_headers(send))
        elif not is_socket and scope["path"] == "/":
            await RedirectResponse("/enter", 303)(scope, receive, with_headers(send))
        else:
            await refuse(PlainTextResponse("Say the token first, at /enter.", 401), scope, receive, send)

    async def _enter(self, request: Request, inside: bool) -> Response:
        code = ""
        if request.method == "POST":
            said = look_of((await bounded_body(request)).decode("utf-8", "replace"))
        else:
            said, code = request.query_params.get("look", ""), request.query_params.get("code", "")
        address = request.client.host if request.client else ""
        right = same(said, self._token) or (bool(code) and self._folder is not None and codes.take(self._folder, code, self._clock_s()))
        if not right and inside and not said:
            return RedirectResponse("/", 303)  # the way back in a browser that is in already
        if not right:
            if not (said or code):
                return HTMLResponse(FORM.format(word=""))
            return await self._wrong(address, WRONG if said else SPENT)
        self._slowing.right(address)
        answer = RedirectResponse("/", 303)
        now_s = int(self._clock_s())
        answer.set_cookie(
            self._cookie,
            look_cookie(self._token, now_s),
            max_age=LOOK_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    async def _wrong(self, address: str, word: str) -> Response:
        wait_s = self._slowing.wrong(address, self._clock_s())
        if wait_s and self._waiting >= MOST_WAITING:
            return HTMLResponse(FORM.format(word=word), 429, {"Retry-After": str(max(1, round(wait_s)))})
        self._waiting += 1
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._waiting -= 1
        return HTMLResponse(FORM.format(word=word), 401)


def own_origin(origin: str, host: str, scope: Scope) -> bool:
    """Whether an Origin is that of the page itself: its scheme, its name and its port, as the browser asked for them in Host.

    >>> direct = {"scheme": "ws", "server": ("127.0.0.1", 8473)}
    >>> [own_origin(o, "127.0.0.1:8473", direct) for o in ("http://127.0.0.1:8473", "http://127.0.0.1:9999", "https://127.0.0.1:8473")]
    [True, False, False]
    >>> own_origin("http://localhost:8473", "127.0.0.1:8473", direct), own_origin("null", "127.0.0.1:8473", direct)
    (False, False)
    >>> own_origin("https://pages.example.net", "pages.example.net", direct)  # behind a proxy with TLS
    True
    """
    scheme, _, place = origin.lower().partition("://")
    if scheme not in PORT_OF or with_port(place, scheme) != with_port(host.lower(), scheme):
        return False
    own = "https" if scope["scheme"] in ("https", "wss") else "http"
    if scheme == own:
        return own == "https" or host_of(host) in LOOPBACK or port_of(host) == str((scope.get("server") or ("", 0))[1])
    # A proxy that is not among those whose X-Forwarded-Proto counts: then it is the one with TLS that a name other than loopback has.
    return scheme == "https" and host_of(host) not in LOOPBACK


def port_of(place: str) -> str:
    """The port that stands in a Host header, or "".

    >>> port_of("127.0.0.1:8473"), port_of("[::1]:8473"), port_of("[::1]"), port_of("pages.example.net")
    ('8473', '8473', '', '')
    """
    _, colon, port = place.rpartition(":")
    return port if colon and port.isascii() and port.isdigit() else ""


def with_port(place: str, scheme: str) -> str:
    """A name with its port, also where it is the scheme's own."""
    return place if port_of(place) else f"{place}:{PORT_OF[scheme]}"


def host_of(header: str) -> str:
    """The name in a Host header, without its port.

    >>> host_of("127.0.0.1:8473"), host_of("[::1]:8473"), host_of("Pages.Example.net")
    ('127.0.0.1', '::1', 'pages.example.net')
    """
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() and not header.endswith("]") else header
    return name.strip("[]").rstrip(".").lower()


def closed(path: str) -> bool:
    """Whether a path is one that we do not serve, however often it is said with more slashes.

    >>> closed("/_stcore/agent/v1"), closed("//_stcore/metrics"), closed("/_stcore/stream")
    (True, True, False)
    """
    plain = "/" + path.lstrip("/")
    return any(plain.startswith(one) for one in CLOSED)


def look_of(form: str) -> str:
    """The token in a posted form.

    >>> look_of("look=s3cret&x=1"), look_of("x=1")
    ('s3cret', '')
    """
    return parse_qs(form, max_num_fields=10).get("look", [""])[0]


def cookies_of(headers: Headers) -> Mapping[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


async def bounded_body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            return b""
    return body


async def refuse(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403})
    else:
        await answer(scope, receive, with_headers(send))


def with_headers(send: Send) -> Send:
    """Headers of every answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
