"""Who has not said the token sees nothing and opens nothing, and a browser is told to stay on this machine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from http.cookies import SimpleCookie

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from dashboards.access import LOOK_S, look_cookie
from dashboards.door import Door

LOOK = "the-token-to-look-at-it"


class Clock:
    now_s = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def port(clock: Clock) -> Iterator[int]:
    """A house behind the door: it says "inside" to whoever gets in."""

    async def socket_inside(socket_: WebSocket) -> None:
        await socket_.accept()
        await socket_.send_text("inside")
        await socket_.close()

    async def inside(_: object) -> PlainTextResponse:
        return PlainTextResponse("inside")

    door = Middleware(Door, token=LOOK, names=frozenset({"127.0.0.1", "pages.example.net"}), cookie="look", clock_s=clock)
    app = Starlette(routes=[WebSocketRoute("/_stcore/stream", socket_inside), Route("/{path:path}", inside)], middleware=[door])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="websockets-sansio"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def get(port: int, path: str, cookie: str = "", **headers: str) -> httpx2.Response:
    sent = headers | ({"cookie": f"look={cookie}"} if cookie else {})
    return httpx2.get(f"http://127.0.0.1:{port}{path}", headers=sent, follow_redirects=False)


def test_without_a_word_the_way_leads_to_the_door_and_nothing_else_answers(port: int):
    first = get(port, "/")
    assert (first.status_code, first.headers["location"]) == (303, "/enter")
    assert "Token to look" in get(port, "/enter").text
    for path in ("/static/js/index.js", "/_stcore/host-config", "/media/x"):
        assert get(port, path).status_code == 401
    assert get(port, "/_stcore/health").text == "inside", "it says nothing, and is asked by whoever watches"


def test_the_token_lets_in_for_a_shift_and_is_in_no_cookie(port: int, clock: Clock):
    said = get(port, f"/enter?look={LOOK}")
    assert (said.status_code, said.headers["location"]) == (303, "/")
    (morsel,) = SimpleCookie(said.headers["set-cookie"]).values()
    assert LOOK not in morsel.value and morsel["httponly"] and morsel["samesite"] == "lax"
    assert get(port, "/", morsel.value).text == "inside"
    clock.now_s += LOOK_S + 1
    assert get(port, "/", morsel.value).status_code == 303


def test_a_posted_token_lets_in_and_a_wrong_one_is_told(port: int):
    posted = httpx2.post(f"http://127.0.0.1:{port}/enter", data={"look": LOOK}, follow_redirects=False)
    assert posted.status_code == 303 and "set-cookie" in posted.headers
    wrong = httpx2.post(f"http://127.0.0.1:{port}/enter", data={"look": "guessed"}, follow_redirects=False)
    assert wrong.status_code == 401 and "That is not the token" in wrong.text and "set-cookie" not in wrong.headers
    endless = httpx2.post(f"http://127.0.0.1:{port}/enter", content=b"look=" + b"x" * 100_000, follow_redirects=False)
    assert "set-cookie" not in endless.headers


@pytest.mark.parametrize("cookie", ["", "1", "9999999999.deadbeef", look_cookie("another token", 1_795_000_000), "x" * 5_000, "9" * 100 + ".x"])
def test_a_cookie_that_is_not_ours_opens_nothing(port: int, cookie: str):
    assert get(port, "/", cookie).status_code == 303


def test_the_pages_socket_is_behind_the_door_too(port: int, clock: Clock):
    async def ask(cookie: str) -> str:
        async with connect(f"ws://127.0.0.1:{port}/_stcore/stream", additional_headers={"cookie": f"look={cookie}"}) as line:
            return str(await line.recv())

    with pytest.raises(InvalidStatus, match="403"):
        asyncio.run(ask("1.x"))
    assert asyncio.run(ask(look_cookie(LOOK, int(clock.now_s)))) == "inside"


def test_a_name_that_is_not_ours_is_refused_whoever_asks(port: int, clock: Clock):
    """A stranger's site whose name was made to point at this machine."""
    cookie = look_cookie(LOOK, int(clock.now_s))
    assert get(port, "/", cookie, host="evil.example:8473").status_code == 421
    assert get(port, "/", cookie, host="pages.example.net").text == "inside"


@pytest.mark.parametrize("path", ["/_stcore/agent/openapi.json", "/_stcore/metrics", "//_stcore/metrics", "/_stcore/upload_file/x"])
def test_what_the_page_does_not_need_is_closed_to_everybody(port: int, clock: Clock, path: str):
    assert get(port, path, look_cookie(LOOK, int(clock.now_s))).status_code == 404


def test_a_browser_is_told_to_fetch_nothing_from_outside(port: int):
    for path in ("/", "/enter", "/_stcore/health", "/nothing"):
        headers = get(port, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "http" not in policy and "*" not in policy and "unsafe-eval" not in policy
        assert headers["x-frame-options"] == "DENY" and headers["referrer-policy"] == "no-referrer"
