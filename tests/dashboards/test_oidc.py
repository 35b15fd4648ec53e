"""Sign-in through a company's OpenID provider: who is let in, and every way in which nobody is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from oidc_provider_mock import User, run_server_in_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from books import audit, migrate, open_books, reading, users, writing
from core.clock import wall_clock_ms
from dashboards.access import session_of
from dashboards.auth import AuthMiddleware
from dashboards.oidc import BACK, Oidc, Provider
from services import people

KEY = b"k" * 32
HOME = "http://127.0.0.1:8473"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider with four people."""
    known = {
        "anna": {"email": "Anna@Example.net", "email_verified": True}, "eve": {"email": "eve@example.net", "email_verified": True},
        "mallory": {"email": "anna@example.net", "email_verified": False}, "nobody": {},
    }  # fmt: skip
    with run_server_in_thread(require_nonce=True, user_claims=[User(sub=name, claims=claims) for name, claims in known.items()]) as server:
        yield f"http://localhost:{server.server_port}"


class Desk:
    """The guard before the pages, as a browser meets it."""

    def __init__(self, issuer: str, known: Any, **other: str) -> None:
        self.jar: dict[str, str] = {}
        provider = Provider(issuer, "ringfence", "secret", **other)
        guard = Middleware(
            AuthMiddleware, token="look", key=KEY, names=frozenset({"127.0.0.1"}), cookie="look", oidc=Oidc(provider, KEY), known=known
        )  # fmt: skip
        self.app = Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse("inside"))], middleware=[guard])

    def get(self, path: str) -> httpx2.Response:
        async def ask() -> httpx2.Response:
            cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())} if self.jar else {}
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=HOME) as client:
                return await client.get(path, headers=cookie)

        answer = asyncio.run(ask())
        for line in answer.headers.get_list("set-cookie"):
            self.jar |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return answer

    def at_provider(self, who: str, after: str = "/alerts?tenant=t1") -> str:
        """Goes to the provider and signs in there; returns the path to come back to."""
        begun = self.get(f"/oidc/login?next={after}")
        assert begun.status_code == 303, begun.text
        answer = httpx2.post(begun.headers["location"], data={"sub": who})
        back = urlsplit(answer.headers["location"])
        assert f"{back.scheme}://{back.netloc}{back.path}" == HOME + BACK
        return f"{back.path}?{back.query}"


@pytest.fixture
def books(tmp_path) -> Iterator[Any]:
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    migrate(engine)
    with writing(engine) as conn:
        for name in ("anna@example.net", "eve@example.net"):
            users.add(conn, name, "", "admin", "test", 1)
            users.set_role(conn, name, "", "analyst", True, "admin", "test", 1)
        users.set_disabled(conn, "eve@example.net", True, "admin", "left", 2)
    yield engine
    engine.dispose()


@pytest.fixture
def desk(issuer: str, books: Any) -> Desk:
    return Desk(issuer, lambda name: people.sign_in_elsewhere(books, name, issuer, wall_clock_ms()))


def test_a_user_comes_back_from_the_provider_with_a_session_and_to_the_page_that_was_asked_for(desk: Desk, books: Any):
    assert "Sign in with your company&#x27;s sign-in" in desk.get("/enter").text
    back = desk.get(desk.at_provider("anna"))
    assert (back.status_code, back.headers["location"]) == (303, "/alerts?tenant=t1")
    session = session_of(KEY, desk.jar["look"], wall_clock_ms() // 1000)
    assert session is not None and session.name == "anna@example.net"
    assert desk.get("/alerts").text == "inside"
    with reading(books) as conn:
        assert [entry.who for entry in audit.last(conn, 1, "signed in")] == ["anna@example.net"]


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("carol", "has not verified the address carol"), ("nobody", "does not say your email"),
        ("eve", "eve@example.net there, and no such user may sign in"),
        ("mallory", "has not verified the address anna@example.net"),
    ],
)  # fmt: skip
def test_who_is_no_user_of_ours_is_refused_with_a_plain_sentence(desk: Desk, who: str, why: str):
    back = desk.get(desk.at_provider(who))
    assert back.status_code == 403 and why in back.text and "look" not in desk.jar


def test_an_answer_that_this_browser_has_not_asked_for_signs_nobody_in(desk: Desk, issuer: str):
    path = desk.at_provider("anna")
    desk.jar["look_oidc"], mine = "", desk.jar["look_oidc"]
    assert "begun in another browser" in desk.get(path).text
    desk.jar["look_oidc"] = mine[:-1] + ("0" if mine[-1] != "0" else "1")
    assert "begun in another browser" in desk.get(path).text
    desk.jar["look_oidc"] = mine
    assert "begun in another browser" in desk.get(re.sub("state=[^&]+", "state=x", path)).text
    state = parse_qs(urlsplit(path).query)["state"][0]
    assert "has not signed you in: access_denied" in desk.get(f"{BACK}?state={state}&error=access_denied").text
    assert "look" not in desk.jar
    assert desk.get(path).status_code == 303
    assert desk.get(path).status_code == 403, "a code is good once"
    assert desk.at_provider("anna", "https://evil.example") and desk.get(desk.at_provider("anna", "//evil.example")).headers["location"] == "/"


def test_another_claim_names_the_user_and_a_provider_that_is_down_or_another_says_so(issuer: str):
    by_sub = Desk(issuer, lambda name: name == "anna", claim="sub", label="ACME")
    assert "Sign in with ACME" in by_sub.get("/enter").text and by_sub.get(by_sub.at_provider("anna")).status_code == 303
    down = Desk("http://127.0.0.1:9", lambda name: True).get("/oidc/login")
    assert down.status_code == 403 and "does not answer as an OpenID provider does" in down.text and "A password still works" in down.text
    other = Desk(f"{issuer}/", lambda name: True).get("/oidc/login")
    assert "RINGFENCE_PAGES_OIDC_ISSUER must be just that" in other.text


def test_without_a_provider_there_is_no_such_way():
    guard = Middleware(AuthMiddleware, token="look", key=KEY, names=frozenset({"127.0.0.1"}), cookie="look")
    desk = Desk("http://127.0.0.1:9", None)
    desk.app = Starlette(routes=[], middleware=[guard])
    assert "oidc" not in desk.get("/enter").text and desk.get("/oidc/login").status_code == 401
