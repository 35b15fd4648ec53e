"""Unauthenticated connections to an HTTP server of ours that stay open as long as it lets them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEAD = b"POST /v1/records HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def nothing(number: int) -> bytes:
    return b""


def half_a_head(number: int) -> bytes:
    return HEAD + b"X-Slow: "


def half_a_body(number: int) -> bytes:
    return HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 10


def endless_chunks(number: int) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 10


def a_wrong_token(number: int) -> bytes:
    return HEAD + b"Authorization: Bearer guess-number-%d-0123456789\r\nContent-Length: 0\r\n\r\n" % number


def a_wrong_token_and_half_a_body(number: int) -> bytes:
    return HEAD + b"Authorization: Bearer guess-number-%d-0123456789\r\nContent-Length: 9999\r\n\r\n{" % number


def many_requests_at_once(number: int) -> bytes:
    """And it reads no answer."""
    return b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 500


def a_hello_of_tls(number: int) -> bytes:
    return b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)


SHAPES: list[Callable[[int], bytes]] = [
    nothing,
    half_a_head,
    half_a_body,
    endless_chunks,
    a_wrong_token,
    a_wrong_token_and_half_a_body,
    many_requests_at_once,
    a_hello_of_tls,
]


@contextmanager
def strangers(port: int, count: int, shape: Callable[[int], bytes], trickle_s: float = 0.2) -> Iterator[list[socket.socket]]:
    """`count` connections that read nothing. Each sends a byte now and then, so that none is idle for long."""
    lines: list[socket.socket] = []
    ended = threading.Event()

    def trickle() -> None:
        while not ended.wait(trickle_s):
            for line in lines:
                try:
                    line.send(b"a", socket.MSG_DONTWAIT)
                except OSError:  # cut off, or its buffers are full
                    continue

    thread = threading.Thread(target=trickle, daemon=True)
    try:
        for number in range(count):
            line = socket.create_connection(("127.0.0.1", port), timeout=10)
            lines.append(line)
            try:
                line.send(shape(number), socket.MSG_DONTWAIT)
            except OSError:  # cut off already
                continue
        if shape is not nothing:
            thread.start()
        yield lines
    finally:
        ended.set()
        if thread.ident:
            thread.join(10)
        for line in lines:
            line.close()


def cut_off(line: socket.socket) -> bool:
    """Whether the server has ended a connection."""
    line.setblocking(False)
    try:
        while data := line.recv(65_536):
            if not data:
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
