"""Connections without a token never crowd out those with one; and headers do not change the source address of a post."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable

import httpx2
import pytest
from running_collector import TOKEN, Running
from starlette.applications import Starlette
from strangers import SHAPES, cut_off, nothing, strangers
from until import until

from books.credentials import Credential
from core.newcomers import plain_address
from switches.collector import Limits
from switches.gate import Gate, Places, Server, bound, config
from switches.post import connect, post_records

Start = Callable[..., Running]
RECORD = json.dumps({"v": 2, "event": "stop", "switch": "k1", "at_ms": 1, "boot_id": "b", "seq": 1, "account": "acme"}).encode()
FEW = Limits(places=Places(strangers=64, of_source=64, stranger_s=600))
"""A limit without a timeout: strangers stay until another connection replaces them."""


def port_of(one: Running) -> int:
    return int(one.url.rpartition(":")[2])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_strangers_on_all_connections_do_not_delay_a_token(start_collector: Start, shape: Callable[[int], bytes]) -> None:
    one = start_collector(limits=FEW)
    with strangers(port_of(one), 200, shape):
        for _ in range(3):  # a new connection each time
            with connect(one.url, TOKEN) as client:
                assert post_records(client, [RECORD]) == 1
        assert post_records(one.client, [RECORD]) == 1
        assert httpx2.get(f"{one.url}/v1/health").status_code == 200
    assert len(one.records()) == 4


def test_by_default_two_thousand_silent_connections_delay_nobody(start_collector: Start) -> None:
    one = start_collector()
    with strangers(port_of(one), 2_000, nothing) as lines:
        with connect(one.url, TOKEN) as client:
            assert post_records(client, [RECORD]) == 1
        until(lambda: sum(map(cut_off, lines)) >= 2_000 - Places().of_source, 20)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_connection_without_a_token_is_closed_in_time(start_collector: Start, shape: Callable[[int], bytes]) -> None:
    one = start_collector(limits=Limits(places=Places(stranger_s=0.5)))
    with strangers(port_of(one), 8, shape) as lines:
        until(lambda: all(map(cut_off, lines)), 20)


def test_a_connection_with_a_token_is_not_closed_for_strangers(start_collector: Start) -> None:
    """One connection that stays open: the next post uses it."""
    one = start_collector(limits=FEW)
    with socket.create_connection(("127.0.0.1", port_of(one))) as good:
        head = (
            f"POST /v1/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(RECORD) * 2}\r\n\r\n"
        )
        good.sendall(head.encode() + RECORD)  # the second half of the body comes after them
        with strangers(port_of(one), 200, nothing):
            good.sendall(b"\n" + RECORD[1:])
            good.settimeout(10)
            assert good.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_client_that_reads_no_answers_is_closed_also_with_a_token(start_collector: Start) -> None:
    one = start_collector(limits=Limits(places=Places(stalled_s=0.5), records_per_s=1e9))
    request = f"POST /v1/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 0\r\n\r\n".encode()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port_of(one)))
        deaf.settimeout(0.2)

        def refused() -> bool:
            try:
                for _ in range(200):
                    deaf.send(request * 50)
            except TimeoutError:
                return False
            except OSError:
                return True
            return False

        until(refused, 60)
    assert post_records(one.client, [RECORD]) == 1


def test_a_credential_has_a_limit_of_concurrent_posts(start_collector: Start) -> None:
    other = "a-token-of-the-switch-k2"
    tokens = {TOKEN: Credential(("t1",), "k1"), other: Credential(("t1",), "k2")}
    one = start_collector(find_credential=tokens.get, limits=Limits(credential_requests=2, requests=3))
    half = f"POST /v1/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {other}\r\nContent-Length: 100\r\n\r\n{{".encode()
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(one))))
            line.sendall(half)
            line.settimeout(0.3)
            answer = b""
            with contextlib.suppress(TimeoutError):
                while piece := line.recv(4096):
                    answer += piece
        assert (
            answer.startswith(b"HTTP/1.1 503") and b"posts of k2 are in progress" in answer and b"retry-after" in answer.lower()
        )
        assert post_records(one.client, [RECORD]) == 1


def test_guessed_tokens_that_wait_for_the_books_do_not_delay_a_known_one(start_collector: Start) -> None:
    """The books are slow: a look-up takes as long as this test lets it."""
    released = threading.Event()

    def find(token: str) -> Credential | None:
        if token == TOKEN:
            return Credential(("t1",), "k1")
        released.wait(30)
        return None

    one = start_collector(find_credential=find, limits=Limits(credential_s=0.0))
    assert post_records(one.client, [RECORD]) == 1
    with contextlib.ExitStack() as stack:
        for number in range(60):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(one))))
            line.sendall(
                b"POST /v1/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer guess%d\r\nContent-Length: 0\r\n\r\n" % number
            )
        assert post_records(one.client, [RECORD]) == 1
        released.set()


# --- where a post comes from ---


LIES = [
    {"X-Forwarded-For": "192.0.2.10"},
    {"X-Forwarded-For": "127.0.0.1, 192.0.2.10"},
    {"Forwarded": "for=192.0.2.10;proto=https"},
    {"X-Real-IP": "192.0.2.10"},
    {"True-Client-IP": "192.0.2.10", "CF-Connecting-IP": "192.0.2.10", "X-Client-IP": "192.0.2.10"},
    {"X-Forwarded-For": "::ffff:192.0.2.10"},
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: ",".join(lie))
@pytest.mark.parametrize("allowed", [None, "*", "127.0.0.1"])
def test_no_header_changes_the_source_address_of_a_post(
    start_collector: Start, monkeypatch: pytest.MonkeyPatch, lie: dict[str, str], allowed: str | None
) -> None:
    if allowed:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", allowed)
    one = start_collector(find_credential=lambda _: Credential(("t1",), "k1", ("192.0.2.10",)))
    assert one.client.post("/v1/records", content=RECORD, headers=lie).status_code == 403
    assert one.records() == []


def test_of_a_trusted_proxys_header_the_last_address_counts(start_collector: Start) -> None:
    one = start_collector(find_credential=lambda _: Credential(("t1",), "k1", ("192.0.2.10",)), trusted_proxies=("127.0.0.0/8",))
    for header, status in [
        ("192.0.2.10", 200),
        ("203.0.113.9, 192.0.2.10", 200),
        ("::ffff:192.0.2.10", 200),
        ("::ffff:c000:20a", 200),
        ("192.0.2.10, 203.0.113.9", 403),  # the first word is the caller's own
        ("nonsense", 403),
        ("", 403),
    ]:
        answer = one.client.post("/v1/records", content=RECORD, headers={"X-Forwarded-For": header})
        assert answer.status_code == status, header
    assert one.client.post("/v1/records", content=RECORD, headers={"Forwarded": "for=192.0.2.10"}).status_code == 403


def test_a_proxy_at_another_address_than_the_trusted_one_is_not_believed(start_collector: Start) -> None:
    one = start_collector(find_credential=lambda _: Credential(("t1",), "k1", ("192.0.2.10",)), trusted_proxies=("10.0.0.1",))
    assert one.client.post("/v1/records", content=RECORD, headers={"X-Forwarded-For": "192.0.2.10"}).status_code == 403


def test_an_ipv4_address_is_one_also_where_ipv6_carries_it() -> None:
    for spelling in ("::ffff:192.0.2.10", "::FFFF:C000:020A", "0:0:0:0:0:ffff:192.0.2.10", "::ffff:c000:20a%eth0", "192.0.2.10"):
        assert plain_address(spelling) == "192.0.2.10"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_in_use_is_reported_in_one_line(host: str) -> None:
    with bound(host, 0) as taken:
        taken.listen()
        with pytest.raises(SystemExit, match="cannot be listened on: Address already in use"):
            Server(config(Starlette(), Gate())).run_at(host, taken.getsockname()[1])


def test_a_port_can_be_bound_again_while_its_last_connections_end() -> None:
    with bound("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        line = socket.create_connection(("127.0.0.1", port))
        first.accept()[0].close()  # the server ends it first: its side waits
    line.close()
    with bound("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port
