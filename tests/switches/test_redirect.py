"""The SIP redirect: what a switch is answered, over UDP, and what cannot be read."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from switches.redirect import Call, Contact, Redirect, RouteAnswer, parse

INVITE = (
    "INVITE sip:+43664123456;npdi;rn=+4369911@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK1\r\n"
    "Via: SIP/2.0/UDP 10.0.0.1;branch=z9\r\nf: \"A\" <sip:+4319990001@x>;tag=7\r\nTo: <sip:43664123456@x>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n"
    "X-Ringfence-Account: t1/acme\r\nContent-Length: 0\r\n\r\n"
)
asked: list[Call] = []


def ask(call: Call) -> RouteAnswer:
    asked.append(call)
    if call.b_number.endswith("9"):
        raise RuntimeError("a fault of ours")
    if call.b_number.startswith("+882"):
        return RouteAnswer((), "denied", 'by "us"', "best@t1")
    return RouteAnswer((Contact("a", "192.0.2.1:5060", "7001#43664"), Contact("b", "192.0.2.2:5060", "43664")), view="best@t1", lrn=call.lrn)


@pytest.fixture
def port() -> Iterator[int]:
    asked.clear()
    loop = asyncio.new_event_loop()
    made = loop.run_until_complete(loop.create_datagram_endpoint(lambda: Redirect(ask, switches=("127.0.0.0/8",)), local_addr=("127.0.0.1", 0)))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield made[0].get_extra_info("sockname")[1]
    loop.call_soon_threadsafe(made[0].close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def exchange(port: int, *messages: str) -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", port))
        found = []
        for message in messages:
            sock.send(message.encode())
            found.append(sock.recv(8192).decode())
        return found


def test_a_call_is_sent_on_its_way_with_contacts_in_order(port: int) -> None:
    first, again = exchange(port, INVITE, INVITE)
    assert first == again, "a retransmission gets the same"
    lines = first.split("\r\n")
    assert lines[0] == "SIP/2.0 302 Moved Temporarily"
    assert lines[1:3] == ["Via: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK1", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9"]
    assert "Contact: <sip:7001%2343664@192.0.2.1:5060>;q=1.0, <sip:43664@192.0.2.2:5060>;q=0.9" in lines
    assert "X-Ringfence-Route: view=best@t1;gateways=a,b;lrn=4369911" in lines
    assert asked[0] == Call("127.0.0.1", "t1/acme", "+4319990001", "+43664123456", "4369911")


def test_refusals_have_a_code_and_a_reason_and_no_contact(port: int) -> None:
    (denied,) = exchange(port, INVITE.replace("+43664123456;npdi;rn=+4369911", "+88213"))
    assert denied.startswith("SIP/2.0 603 Decline\r\n") and "Contact:" not in denied
    assert 'Reason: SIP;cause=603;text="by us"' in denied


def test_what_is_no_invite_is_answered_and_what_cannot_be_read_is_dropped(port: int) -> None:
    ok, other, bad, fault = exchange(
        port, INVITE.replace("INVITE sip", "OPTIONS sip"), INVITE.replace("INVITE sip", "BYE sip"), INVITE.replace("Call-ID: c1\r\n", ""),
        INVITE.replace("123456;", "9;"),
    )  # fmt: skip
    assert [text.split(" ")[1] for text in (ok, other, bad, fault)] == ["200", "405", "400", "500"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect(("127.0.0.1", port))
        ack = INVITE.replace("INVITE", "ACK").encode()
        for message in (b"\xff\xfe", b"INVITE sip:x SIP/2.0\r\n\r\n", ack, b"SIP/2.0 200 OK\r\n\r\n"):
            sock.send(message)
        with pytest.raises(TimeoutError):
            sock.recv(100)


HALF = b"INVITE sip:x SIP/2.0\r\nVia: x"


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"INVITE\r\n\r\n", b"INVITE sip:x SIP/2.0\r\nno colon\r\n\r\n", HALF])
def test_no_request_is_none(data: bytes) -> None:
    assert parse(data) is None
