"""A SIP responder over UDP for switches that speak nothing else: an INVITE is answered with where the call goes, and never sent on.

    302   a Contact for each gateway in order (q falls from 1.0), and X-Ringfence-Route: view=VIEW;gateways=A,B;lrn=LRN
    603   the lists deny it        404   no route        503   portability does not answer, and fails closed
    400   cannot be read           403   from an address that is no account's

The account is that of the source address, as at a switch; or, from one of our own switches, the one in X-Ringfence-Account: TENANT/ACCOUNT. Nothing
is remembered: a retransmission is answered again. An ACK ends there. At most `MOST_WAITING` questions wait; more are dropped, and the
switch goes on by its own table when its time is over.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_BYTES = 8_192
MOST_WAITING = 512
CODES = {"": (302, "Moved Temporarily"), "denied": (603, "Decline"), "portability": (503, "Service Unavailable"), "no_plan": (403, "Forbidden")}
COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}


class Request(NamedTuple):
    """A SIP request: headers by lower-case name, each with its values in order."""

    method: str
    uri: str
    headers: dict[str, list[str]]

    def first(self, name: str) -> str:
        """The first value of a header, or ""."""
        return next(iter(self.headers.get(name, ())), "")


class Contact(NamedTuple):
    """A gateway of an answer."""

    gateway: str
    address: str  # HOST:PORT
    number: str


class RouteAnswer(NamedTuple):
    """The answer to a call: its gateways in order, or the cause of the refusal."""

    contacts: Sequence[Contact]
    cause: str = ""
    why: str = ""
    view: str = ""
    lrn: str = ""


class Call(NamedTuple):
    """Who asks: the source address, or TENANT/ACCOUNT as one of our switches names it."""

    source: str
    account: str
    a_number: str
    b_number: str
    lrn: str


def parse(data: bytes) -> Request | None:
    """A request, or None.

    >>> parse(b"INVITE sip:43664@x SIP/2.0\\r\\nv: SIP/2.0/UDP a;branch=z\\r\\nX: 1\\r\\n\\r\\n").headers["via"]
    ['SIP/2.0/UDP a;branch=z']
    """
    head, separator, _ = data[:MAX_BYTES].partition(b"\r\n\r\n")
    try:
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8")).split("\r\n")
    except UnicodeDecodeError:
        return None
    start = re.fullmatch(r"([A-Z]{3,16}) (\S{1,512}) SIP/2\.0", lines[0])
    if not start or not separator:
        return None
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            return None
        lower = name.strip().lower()
        headers.setdefault(COMPACT.get(lower, lower), []).append(value.strip())
    return Request(start[1], start[2], headers)


def user_of(text: str) -> str:
    """The user part of the first URI of a header or request line.

    >>> user_of('"A" <sip:+43664123456;npdi;rn=+4369911@x>;tag=1'), user_of("tel:+431234"), user_of("sip:x")
    ('+43664123456;npdi;rn=+4369911', '+431234', '')
    """
    found = re.search(r"sips?:([^@>]*)@|tel:([^>]*)", text)
    return (found[1] or found[2] or "") if found else ""


def call_of(request: Request, source: str, trusted: bool) -> Call:
    """The call that an INVITE asks for."""
    user = user_of(request.uri)
    rn = re.search(r";rn=\+?([0-9]{2,18})", user)
    account = request.first("x-ringfence-account") if trusted else ""
    return Call(source, account, user_of(request.first("from")).partition(";")[0], user.partition(";")[0], rn[1] if rn else "")


def response(request: Request, code: int, reason: str, extra: Sequence[str] = ()) -> bytes:
    """A final response to a request. Its To tag is derived, so that a retransmission gets the same."""
    to = request.first("to")
    if ";tag=" not in to:
        seed = "|".join((request.first("call-id"), request.first("from"), request.first("via")))
        to += f";tag={hashlib.sha256(seed.encode()).hexdigest()[:16]}"
    lines = [f"SIP/2.0 {code} {reason}", *(f"Via: {via}" for via in request.headers.get("via", ()))]
    lines += [f"From: {request.first('from')}", f"To: {to}", f"Call-ID: {request.first('call-id')}", f"CSeq: {request.first('cseq')}"]
    return "\r\n".join([*lines, *extra, "Content-Length: 0", "", ""]).encode()


def answer(request: Request, found: RouteAnswer) -> bytes:
    """The response that sends a call on its way, or refuses it."""
    code, reason = CODES.get(found.cause, (404, "Not Found"))
    extra = []
    if not found.cause:
        contacts = ", ".join(
            f"<sip:{one.number.replace('#', '%23')}@{one.address}>;q={max(1.0 - at / 10, 0.1):.1f}" for at, one in enumerate(found.contacts)
        )
        extra.append(f"Contact: {contacts}")
    gateways = ",".join(one.gateway for one in found.contacts)
    extra.append(f"X-Ringfence-Route: view={found.view};gateways={gateways};lrn={found.lrn}")
    if found.why:
        plain = "".join(c for c in found.why if c.isascii() and c.isprintable() and c not in '"\\')[:200]
        extra.append(f'Reason: SIP;cause={code};text="{plain}"')
    return response(request, code, reason, extra)


@dataclass(eq=False)
class Redirect(asyncio.DatagramProtocol):
    """`ask`: finds the routes of a call; called in a thread. `switches`: networks whose X-Ringfence-Account is believed."""

    ask: Callable[[Call], RouteAnswer]
    switches: Sequence[str] = ("127.0.0.0/8",)
    threads: int = 4
    asked: int = 0
    dropped: int = 0
    _waiting: int = 0
    _transport: asyncio.DatagramTransport | None = None
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, "redirect")
        self._networks = [ipaddress.ip_network(text) for text in self.switches]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One message. What is no request, and an ACK, is dropped."""
        request = parse(data)
        if request is None or request.method == "ACK" or not request.first("via"):
            return
        if request.method == "OPTIONS":
            return self._send(response(request, 200, "OK"), addr)
        if request.method != "INVITE":
            return self._send(response(request, 405, "Method Not Allowed", ("Allow: INVITE, ACK, OPTIONS",)), addr)
        if not all(request.first(name) for name in ("from", "to", "call-id", "cseq")):
            return self._send(response(request, 400, "Bad Request"), addr)
        if self._waiting >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting += 1
        self.asked += 1
        trusted = any(ipaddress.ip_address(addr[0]) in network for network in self._networks)
        future = self._pool.submit(self.ask, call_of(request, addr[0], trusted))
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda done: loop.call_soon_threadsafe(self._found, request, addr, done))

    def _found(self, request: Request, addr: tuple[str, int], done: object) -> None:
        self._waiting -= 1
        try:
            found = done.result()  # type: ignore[attr-defined]
        except Exception:  # noqa: BLE001 - whatever it was: the switch goes on by its table
            return self._send(response(request, 500, "Server Internal Error"), addr)
        self._send(answer(request, found), addr)

    def _send(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(data, addr)
