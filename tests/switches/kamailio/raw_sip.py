"""A SIP client that sends raw bytes, for messages that SIPp cannot send."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from types import TracebackType


def shown(address: str) -> str:
    """An address as SIP writes it."""
    return f"[{address}]" if ":" in address else address


class Phone:
    """A UDP socket that sends any SIP message, valid or not."""

    def __init__(self, address: str, port: int = 0) -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((address, port))
        self.port = int(self.sock.getsockname()[1])
        self.address = shown(address)

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.sock.close()

    def invite(
        self, number: bytes | str, *, to: tuple[str, int], call_id: str = "", tag: str = "", from_value: bytes = b"",
        headers: bytes = b"", to_tag: str = "", method: str = "INVITE", uri: bytes = b"", branch: str = "",
    ) -> bytes:  # fmt: skip
        """An INVITE (or another request); From, R-URI and more headers can be any bytes."""
        user = number if isinstance(number, bytes) else number.encode()
        host = f"{shown(to[0])}:{to[1]}".encode()
        own = f"{self.address}:{self.port}".encode()
        tag = tag or os.urandom(4).hex()
        if not from_value:
            from_value = b"<sip:4319990001@" + own + b">"
        target = uri or b"sip:" + user + b"@" + host
        return b"".join(
            [
                method.encode() + b" " + target + b" SIP/2.0\r\n",
                b"Via: SIP/2.0/UDP " + own + b";branch=z9hG4bK" + (branch or os.urandom(6).hex()).encode() + b"\r\n",
                b"Max-Forwards: 70\r\nFrom: " + from_value + b";tag=" + tag.encode() + b"\r\n",
                b"To: <sip:callee@" + host + b">" + (b";tag=" + to_tag.encode() if to_tag else b"") + b"\r\n",
                b"Call-ID: " + (call_id or os.urandom(6).hex()).encode() + b"\r\nCSeq: 1 " + method.encode() + b"\r\n",
                b"Contact: <sip:phone@" + own + b">\r\n" + headers + b"Content-Length: 0\r\n\r\n",
            ]
        )

    def send(self, message: bytes, to: tuple[str, int]) -> None:
        self.sock.sendto(message, to)

    def receive(self, timeout_s: float = 6) -> tuple[bytes, tuple[str, int]]:
        self.sock.settimeout(timeout_s)
        return self.sock.recvfrom(65535)

    def wait_for(self, start: bytes, timeout_s: float = 6) -> tuple[bytes, tuple[str, int]]:
        """The next message that starts like this; others are skipped."""
        for _ in range(50):
            message, sender = self.receive(timeout_s)
            if message.startswith(start):
                return message, sender
        raise AssertionError(f"no {start!r} among 50 messages")

    def final(self, timeout_s: float = 6) -> int:
        """The code of the next final response."""
        for _ in range(50):
            message, _ = self.receive(timeout_s)
            if found := re.match(rb"SIP/2\.0 ([2-6]\d\d)", message):
                return int(found[1])
        raise AssertionError("no final response among 50 messages")


def reply(request: bytes, code: int, reason: str, *, tag: str = "callee", headers: bytes = b"") -> bytes:
    """A response to a request, with its Vias, Record-Routes, From, To, Call-ID and CSeq."""
    kept = []
    for line in header_lines(request):
        name = line.split(b":", 1)[0].strip().lower()
        if name in (b"to", b"t") and b"tag=" not in line:
            line += b";tag=" + tag.encode()
        if name in (b"via", b"v", b"from", b"f", b"to", b"t", b"call-id", b"i", b"cseq", b"record-route"):
            kept.append(line)
    return b"\r\n".join([f"SIP/2.0 {code} {reason}".encode(), *kept]) + b"\r\n" + headers + b"Content-Length: 0\r\n\r\n"


def header_lines(message: bytes) -> list[bytes]:
    head = message.split(b"\r\n\r\n", 1)[0].split(b"\r\n")[1:]
    lines: list[bytes] = []
    for line in head:
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += b"\r\n" + line
        else:
            lines.append(line)
    return lines


def header(message: bytes, name: str) -> list[bytes]:
    """The values of a header."""
    found = []
    for line in header_lines(message):
        key, _, value = line.partition(b":")
        if key.strip().lower() == name.lower().encode():
            found.append(value.strip())
    return found


@dataclass(frozen=True)
class Side:
    """One end of an answered call: the fields that its requests inside the call need."""

    phone: Phone
    target: bytes
    routes: tuple[bytes, ...]
    from_value: bytes
    to_value: bytes
    call_id: bytes

    def request(self, method: str, cseq: int, *, routes: bool = True) -> bytes:
        own = f"{self.phone.address}:{self.phone.port}".encode()
        lines = [
            method.encode() + b" " + self.target + b" SIP/2.0",
            b"Via: SIP/2.0/UDP " + own + b";branch=z9hG4bK" + os.urandom(6).hex().encode(),
            b"Max-Forwards: 70",
            *(b"Route: " + route for route in (self.routes if routes else ())),
            b"From: " + self.from_value,
            b"To: " + self.to_value,
            b"Call-ID: " + self.call_id,
            f"CSeq: {cseq} {method}".encode(),
            b"Contact: <sip:phone@" + own + b">",
        ]
        return b"\r\n".join(lines) + b"\r\nContent-Length: 0\r\n\r\n"


def _uri(contact: bytes) -> bytes:
    found = re.search(rb"<([^>]+)>", contact)
    return found[1] if found else contact


def caller_side(phone: Phone, answered: bytes) -> Side:
    """The caller's end, from the 200 that it received."""
    one = {name: header(answered, name)[0] for name in ("From", "To", "Call-ID", "Contact")}
    routes = tuple(reversed(header(answered, "Record-Route")))
    return Side(phone, _uri(one["Contact"]), routes, one["From"], one["To"], one["Call-ID"])


def callee_side(phone: Phone, invite: bytes, tag: str = "callee") -> Side:
    """The callee's end, from the INVITE that it answered with this tag."""
    one = {name: header(invite, name)[0] for name in ("From", "To", "Call-ID", "Contact")}
    routes = tuple(header(invite, "Record-Route"))
    return Side(phone, _uri(one["Contact"]), routes, one["To"] + b";tag=" + tag.encode(), one["From"], one["Call-ID"])


@dataclass(frozen=True)
class Call:
    """An answered call with both its ends."""

    caller: Side
    callee: Side
    invite: bytes  # as the callee received it
    switch: tuple[str, int]

    def hang_up(self, side: Side, *, routes: bool = True, times: int = 1) -> None:
        """A BYE (the same one so many times), answered by the other end."""
        other = self.callee if side is self.caller else self.caller
        bye = side.request("BYE", 9, routes=routes)
        for _ in range(times):
            side.phone.send(bye, self.switch)
        arrived, proxy = other.phone.wait_for(b"BYE")
        other.phone.send(reply(arrived, 200, "OK"), proxy)
        side.phone.wait_for(b"SIP/2.0 200")


def establish(
    caller: Phone, callee: Phone, switch: tuple[str, int], number: str | bytes, *, callee_tag: str = "callee", **more: object
) -> Call:
    """INVITE, 180, 200, ACK."""
    caller.send(caller.invite(number, to=switch, **more), switch)  # type: ignore[arg-type]
    invite, proxy = callee.wait_for(b"INVITE")
    callee.send(reply(invite, 180, "Ringing", tag=callee_tag), proxy)
    caller.wait_for(b"SIP/2.0 180")
    contact = f"Contact: <sip:callee@{callee.address}:{callee.port}>\r\n".encode()
    callee.send(reply(invite, 200, "OK", tag=callee_tag, headers=contact), proxy)
    answered, _ = caller.wait_for(b"SIP/2.0 200")
    call = Call(caller_side(caller, answered), callee_side(callee, invite, callee_tag), invite, switch)
    caller.send(call.caller.request("ACK", 1), switch)
    callee.wait_for(b"ACK")
    return call
