"""Without the token nothing is shown and no session opens; the browser may fetch nothing from other hosts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from strangers import SHAPES, strangers
from until import until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from dashboards import codes, throttle
from dashboards.access import SESSION_S, session_cookie, session_key, session_of
from dashboards.auth import AuthMiddleware
from dashboards.throttle import Throttle
from switches.gate import Gate, Places, Server, config

LOOK = "the-token-to-look-at-it"
KEY = session_key(LOOK, "the-token-to-act-on-it")
PASSWORD = "correct horse battery"


def cookie_of(now_s: float, name: str = "", key: bytes = KEY) -> str:
    return session_cookie(key, name, int(now_s))


def check(name: str, password: str) -> bool:
    """The books of these tests have one user."""
    if name == "broken":
        raise ConnectionError("the books do not answer")
    return (name, password) == ("anna", PASSWORD)


class Clock:
    now_s = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def port(clock: Clock, tmp_path: Path) -> Iterator[int]:
    """A server behind `AuthMiddleware` that answers "inside"."""

    async def socket_inside(socket_: WebSocket) -> None:
        await socket_.accept()
        await socket_.send_text("inside")
        async for text in socket_.iter_text():
            await socket_.send_text(text)

    async def inside(_: object) -> PlainTextResponse:
        return PlainTextResponse("inside")

    gate = Gate(Places(strangers=64, of_source=64, stranger_s=600))
    auth = Middleware(
        AuthMiddleware, token=LOOK, key=KEY, check=check, names=frozenset({"127.0.0.1", "localhost", "::1", "pages.example.net"}),
        cookie="look", clock_s=clock, folder=tmp_path / "codes", trust=lambda scope, for_good: gate.trust(scope, for_good=for_good),
    )  # fmt: skip
    app = Starlette(routes=[WebSocketRoute("/_stcore/stream", socket_inside), Route("/{path:path}", inside)], middleware=[auth])
    listens, port = threading.Event(), [0]

    def listening(number: int) -> None:
        port[0] = number
        listens.set()

    server = Server(config(app, gate, ws="websockets-sansio", timeout_graceful_shutdown=1), listening=listening)
    thread = threading.Thread(target=server.run_at, args=("127.0.0.1", 0), daemon=True)
    thread.start()
    assert listens.wait(20)
    yield port[0]
    server.should_exit = True
    thread.join(10)


def get(port: int, path: str, cookie: str = "", **headers: str) -> httpx2.Response:
    sent = headers | ({"cookie": f"look={cookie}"} if cookie else {})
    return httpx2.get(f"http://127.0.0.1:{port}{path}", headers=sent, follow_redirects=False)


def test_without_a_token_everything_redirects_to_the_sign_in_or_is_refused(port: int):
    first = get(port, "/")
    assert (first.status_code, first.headers["location"]) == (303, "/enter")
    assert "View token" in get(port, "/enter").text
    for path in ("/static/js/index.js", "/_stcore/host-config", "/media/x"):
        assert get(port, path).status_code == 401
    assert get(port, "/_stcore/health").text == "inside", "it reveals nothing, and is for monitoring"


def test_the_token_lets_in_for_a_shift_and_is_in_no_cookie(port: int, clock: Clock):
    answer = get(port, f"/enter?look={LOOK}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert LOOK not in morsel.value and morsel["httponly"] and morsel["samesite"] == "lax"
    assert get(port, "/", morsel.value).text == "inside"
    clock.now_s += SESSION_S + 1
    assert get(port, "/", morsel.value).status_code == 303


def test_a_posted_token_signs_in_and_a_wrong_one_is_refused(port: int):
    right = posted(port, look=LOOK)
    assert right.status_code == 303 and "set-cookie" in right.headers
    wrong = posted(port, look="guessed")
    assert wrong.status_code == 401 and "This token is wrong" in wrong.text and "set-cookie" not in wrong.headers
    endless = httpx2.post(f"http://127.0.0.1:{port}/enter", content=b"look=" + b"x" * 100_000, follow_redirects=False)
    assert "set-cookie" not in endless.headers


def posted(port: int, **fields: str) -> httpx2.Response:
    return httpx2.post(f"http://127.0.0.1:{port}/enter", data=fields, follow_redirects=False)


def test_a_user_signs_in_with_a_password_and_comes_back_to_the_address_that_was_asked_for(port: int, clock: Clock):
    first = get(port, "/alerts?tenant=t1")
    assert (first.status_code, first.headers["location"]) == (303, "/enter?next=%2Falerts%3Ftenant%3Dt1")
    form = get(port, "/enter?next=%2Falerts%3Ftenant%3Dt1%22%3E").text
    assert 'value="/alerts?tenant=t1&quot;&gt;"' in form
    answer = posted(port, name="anna", password=PASSWORD, next="/alerts?tenant=t1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?tenant=t1")
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    found = session_of(KEY, morsel.value, int(clock()))
    assert found is not None and found.name == "anna" and get(port, "/alerts", morsel.value).text == "inside"


@pytest.mark.parametrize(("name", "password"), [("anna", "guessed"), ("ben", PASSWORD), ("%'; --", "' OR 1=1 --"), ("a" * 500, PASSWORD)])
def test_a_wrong_password_lets_nobody_in(port: int, name: str, password: str):
    answer = posted(port, name=name, password=password)
    assert answer.status_code == 401 and "Name or password is wrong" in answer.text and "set-cookie" not in answer.headers


def test_while_the_books_are_down_the_form_says_so_and_the_token_works(port: int):
    answer = posted(port, name="broken", password=PASSWORD)
    assert answer.status_code == 503 and "The books do not answer" in answer.text
    assert posted(port, look=LOOK).status_code == 303


def test_a_sign_in_leads_to_no_other_site(port: int):
    for other in ("//evil.example/", "https://evil.example/", "/" + chr(92) + "evil.example", "evil"):
        assert posted(port, look=LOOK, next=other).headers["location"] == "/"


FORGED = [
    "", "1", "9999999999.deadbeef", cookie_of(1_795_000_000, "anna", session_key(LOOK, "another action token")),
    cookie_of(1_795_000_000)[:-1] + "0", "x" * 5_000, "9" * 100 + ".x",
]  # fmt: skip


@pytest.mark.parametrize("cookie", FORGED)
def test_a_forged_cookie_opens_nothing(port: int, cookie: str):
    assert get(port, "/", cookie).status_code == 303


def through_the_socket(port: int, cookie: str, origins: list[str], host: str = "") -> str:
    async def ask() -> str:
        headers = [("cookie", f"look={cookie}")] * bool(cookie) + [("origin", one) for one in origins] + [("host", host)] * bool(host)
        async with connect(f"ws://127.0.0.1:{port}/_stcore/stream", additional_headers=headers) as line:
            return str(await line.recv())

    return asyncio.run(ask())


def test_the_pages_websocket_needs_the_cookie_too(port: int, clock: Clock):
    own = [f"http://127.0.0.1:{port}"]
    with pytest.raises(InvalidStatus, match="403"):
        through_the_socket(port, "1.x", own)
    assert through_the_socket(port, cookie_of(clock()), own) == "inside"


FOREIGN = [
    "http://127.0.0.1:9999",
    "http://127.0.0.1",
    "http://127.0.0.1:80",
    "http://localhost:{port}",
    "http://localhost:3000",
    "http://[::1]:{port}",
    "http://127.0.0.2:{port}",
    "http://127.1:{port}",
    "http://0x7f.0.0.1:{port}",
    "https://127.0.0.1:{port}",
    "ws://127.0.0.1:{port}",
    "http://pages.example.net",
    "null",
    "",
    "file://",
    "http://127.0.0.1:{port}@evil.example",
    "http://evil@127.0.0.1:{port}",
    "http://127.0.0.1:{port}.evil.example",
    "http://127.0.0.1.evil.example:{port}",
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:0{port}",
    "http://127.0.0.1:{port}, http://127.0.0.1:{port}",
    "127.0.0.1:{port}",
    "http:127.0.0.1:{port}",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_the_pages_socket_opens_for_no_other_origin(port: int, clock: Clock, origin: str):
    """The browser sends the cookie along from every page: another port of this machine is the same site to it."""
    cookie = cookie_of(clock())
    with pytest.raises(InvalidStatus, match="403"):
        through_the_socket(port, cookie, [origin.format(port=port)])
    if origin:
        assert get(port, "/", cookie, origin=origin.format(port=port)).status_code == 403


def test_the_pages_socket_opens_for_no_origin_and_for_no_two(port: int, clock: Clock):
    cookie, own = cookie_of(clock()), f"http://127.0.0.1:{port}"
    for origins in ([], [own, own], [own, "http://evil.example"], ["http://evil.example", own]):
        with pytest.raises(InvalidStatus, match=r"40[03]"):
            through_the_socket(port, cookie, origins)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}"),
        ("localhost:{port}", "http://localhost:{port}"),
        ("[::1]:{port}", "http://[::1]:{port}"),
        ("LOCALHOST:{port}", "HTTP://localhost:{port}"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),  # through a tunnel, or a port that a container publishes
        ("pages.example.net", "https://pages.example.net"),  # behind a proxy with TLS
        ("pages.example.net:8443", "https://pages.example.net:8443"),
        ("pages.example.net", "https://pages.example.net:443"),
        ("pages.example.net:{port}", "http://pages.example.net:{port}"),  # without a proxy
    ],
)
def test_the_pages_own_origin_opens_it_under_each_of_its_names(port: int, clock: Clock, host: str, origin: str):
    cookie = cookie_of(clock())
    host, origin = host.format(port=port), origin.format(port=port)
    line = f"GET /x HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nCookie: look={cookie}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(line.encode())
        one.settimeout(10)
        assert b" 200 " in one.recv(4096)


# --- codes ---


def test_a_code_opens_the_page_once_and_is_then_worth_nothing(port: int, clock: Clock, tmp_path: Path):
    code = codes.make(tmp_path / "codes", clock())
    opened = get(port, f"/enter?code={code}")
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    (morsel,) = SimpleCookie(opened.headers["set-cookie"]).values()
    assert get(port, "/", morsel.value).text == "inside"
    again = get(port, f"/enter?code={code}")
    assert again.status_code == 401 and "set-cookie" not in again.headers and "used already" in again.text
    back = get(port, f"/enter?code={code}", morsel.value)
    assert (back.status_code, back.headers["location"]) == (303, "/"), "a signed-in browser is redirected to the page"


@pytest.mark.parametrize("code", ["guessed", "../codes/x", "", "%00", "a" * 5_000, "é", "*"])
def test_an_unknown_code_opens_nothing(port: int, clock: Clock, tmp_path: Path, code: str):
    codes.make(tmp_path / "codes", clock())
    answer = get(port, f"/enter?code={code}")
    assert answer.status_code == (401 if code else 200) and "set-cookie" not in answer.headers
    assert len(list((tmp_path / "codes").iterdir())) == 1


def test_a_code_ends_after_an_hour_and_there_are_never_too_many(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(codes, "MAX_CODES", 16)
    old = codes.make(tmp_path, clock())
    clock.now_s += codes.LIFE_S + 1
    assert not codes.take(tmp_path, old, clock())
    for number in range(codes.MAX_CODES + 5):
        newest = codes.make(tmp_path, clock() + number / 1_000)
    assert len(list(tmp_path.iterdir())) == codes.MAX_CODES
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
    assert newest not in " ".join(file.name for file in tmp_path.iterdir()), "a file's name does not contain the code"
    assert codes.take(tmp_path, newest, clock() + 10)


# --- guesses ---


def test_wrong_tokens_are_throttled_per_source_and_sources_are_bounded():
    throttled = Throttle()
    waits = [throttled.wrong("192.0.2.1", float(n)) for n in range(200)]
    assert waits[:3] == [0, 0, 0] and waits == sorted(waits) and waits[-1] == throttle.LONGEST_S
    for other in ("192.0.2.2", "::1", "2001:db8::1"):
        assert throttled.wrong(other, 200.0) == 0
    for same in ("::ffff:192.0.2.1", "::ffff:c000:201"):
        assert throttled.wrong(same, 201.0) == throttle.LONGEST_S
    for number in range(3 * throttle.MAX_SOURCES):
        throttled.wrong(f"2001:db8:{number:x}::1", 202.0)
    assert len(throttled) == throttle.MAX_SOURCES
    for number in range(5):  # one line has a /64 of addresses
        wait = throttled.wrong(f"2001:db8:aaaa:1::{number + 1:x}", 203.0)
    assert wait > 0


def test_a_right_token_is_never_throttled(port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dashboards.throttle.FREE", 0)
    monkeypatch.setattr("dashboards.throttle.FIRST_S", 600.0)
    monkeypatch.setattr("dashboards.throttle.LONGEST_S", 600.0)
    monkeypatch.setattr("dashboards.auth.MAX_DELAYED", 20)
    with contextlib.ExitStack() as stack:
        for _ in range(20):  # each is a guess whose answer waits for ten minutes
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            line.sendall(b"GET /enter?look=guessed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: get(port, "/enter?look=guessed").status_code == 429, 20)
        assert httpx2.post(f"http://127.0.0.1:{port}/enter", data={"look": LOOK}, follow_redirects=False).status_code == 303


# --- strangers ---


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_strangers_at_the_connection_limit_keep_no_browser_out(port: int, clock: Clock, shape: Callable[[int], bytes]):
    cookie = cookie_of(clock())
    with strangers(port, 200, shape):
        assert get(port, "/", cookie).text == "inside"
        assert through_the_socket(port, cookie, [f"http://127.0.0.1:{port}"]) == "inside"


def test_an_open_websocket_stays_open_whoever_connects(port: int, clock: Clock):
    headers = [("cookie", f"look={cookie_of(clock())}"), ("origin", f"http://127.0.0.1:{port}")]

    async def over_the_storm() -> str:
        async with connect(f"ws://127.0.0.1:{port}/_stcore/stream", additional_headers=headers) as line:
            await line.recv()
            await asyncio.to_thread(storm.enter_context, strangers(port, 200, SHAPES[0]))
            await line.send("still here")
            return str(await line.recv())

    with contextlib.ExitStack() as storm:
        assert asyncio.run(over_the_storm()) == "still here"


def test_an_unknown_host_name_is_refused(port: int, clock: Clock):
    """DNS rebinding: the name of another site that resolves to this machine."""
    cookie = cookie_of(clock())
    assert get(port, "/", cookie, host="evil.example:8473").status_code == 421
    assert get(port, "/", cookie, host="pages.example.net").text == "inside"


@pytest.mark.parametrize("path", ["/_stcore/agent/openapi.json", "/_stcore/metrics", "//_stcore/metrics", "/oauth2callback", "/auth/login"])
def test_unused_paths_of_streamlit_are_closed(port: int, clock: Clock, path: str):
    assert get(port, path, cookie_of(clock())).status_code == 404


def test_the_content_security_policy_allows_no_other_host(port: int):
    for path in ("/", "/enter", "/_stcore/health", "/nothing"):
        headers = get(port, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "http" not in policy and "*" not in policy and "unsafe-eval" not in policy
        assert headers["x-frame-options"] == "DENY" and headers["referrer-policy"] == "no-referrer"
