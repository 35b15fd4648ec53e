"""Whether each part is alive and ready, by its own `/health` and `/ready`."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import msgspec

TIMEOUT_S = 1.5
ONCE_S = 3.0
"""For a single question of a command."""
MOST_WHY = 200


@dataclass(frozen=True)
class Part:
    """`why` is "" if it is alive and ready."""

    name: str
    alive: bool
    ready: bool
    why: str = ""


def ask_all(parts: Mapping[str, str]) -> dict[str, Part]:
    """The health of each part; `parts`: name -> base URL.

    >>> ask_all({"judge": "http://127.0.0.1:1"})["judge"].alive
    False
    """
    health = Health(parts, ONCE_S)
    try:
        return {part.name: part for part in health.ask()}
    finally:
        health.close()


def listening(parts: Mapping[str, str]) -> dict[str, str]:
    """The parts whose port accepts connections.

    >>> listening({"judge": "http://127.0.0.1:1"})
    {}
    """
    found = {}
    for name, url in parts.items():
        address = urlsplit(url)
        try:
            with socket.create_connection((address.hostname or "", address.port or 0), ONCE_S):
                found[name] = url
        except OSError:
            continue
    return found


class Health:
    """Asks all parts at the same time. One that does not answer does not delay the others."""

    def __init__(self, parts: Mapping[str, str], timeout_s: float = TIMEOUT_S) -> None:
        self._parts = dict(parts)
        self._client = httpx2.Client(timeout=timeout_s, trust_env=False)
        self._pool = ThreadPoolExecutor(max_workers=max(1, min(16, len(self._parts))), thread_name_prefix="health")

    def ask(self) -> list[Part]:
        return list(self._pool.map(lambda item: self._part(*item), self._parts.items()))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _part(self, name: str, url: str) -> Part:
        try:
            alive = self._client.get(f"{url}/health")
            ready = self._client.get(f"{url}/ready")
        except httpx2.HTTPError as error:
            return Part(name, False, False, reason_of(error, url))
        if alive.status_code != 200:
            return Part(name, False, False, "it is running and does not work: " + why_of(alive.content, alive.status_code))
        if ready.status_code != 200:
            return Part(name, True, False, why_of(ready.content, ready.status_code))
        return Part(name, True, True)


def reason_of(error: Exception, url: str) -> str:
    """
    >>> reason_of(httpx2.ConnectError("refused"), "http://127.0.0.1:1"), reason_of(httpx2.ReadTimeout("timed out"), "http://127.0.0.1:1")
    ('it is not running: nobody listens at http://127.0.0.1:1', 'no answer at http://127.0.0.1:1')
    """
    if isinstance(error, httpx2.ConnectError):
        return f"it is not running: nobody listens at {url}"
    return f"no answer at {url}" if isinstance(error, httpx2.TimeoutException) else f"{type(error).__name__}: {error}"[:MOST_WHY]


def why_of(content: bytes, status: int) -> str:
    """The reason in a part's answer.

    >>> why_of(b'{"ready":false,"why":"the books do not answer"}', 503), why_of(b"<html>", 502)
    ('the books do not answer', 'it answers with 502')
    """
    try:
        answer = msgspec.json.decode(content)
    except msgspec.DecodeError:
        answer = None
    why = answer.get("why") if isinstance(answer, dict) else None
    return str(why)[:MOST_WHY] if why else f"it answers with {status}"
