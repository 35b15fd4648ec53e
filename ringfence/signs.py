"""What the parts of a running `up` say of themselves, asked over HTTP, all at once."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import httpx2
import msgspec

ASK_S = 3.0


class Sign(NamedTuple):
    """`why`: why it is not alive, or not ready."""

    alive: bool
    ready: bool
    why: str


class _Answer(msgspec.Struct):
    alive: bool = False
    ready: bool = False
    why: str = ""


def of(parts: Mapping[str, str]) -> dict[str, Sign]:
    """Name -> base URL of each part; what each says."""
    with ThreadPoolExecutor(max(1, len(parts))) as pool:
        return dict(zip(parts, pool.map(ask, parts.values()), strict=True))


def listening(parts: Mapping[str, str]) -> dict[str, str]:
    """Those of the parts at whose port somebody listens.

    >>> listening({"judge": "http://127.0.0.1:1"})
    {}
    """
    return {name: url for name, url in parts.items() if _listens(urlsplit(url))}


def _listens(url: SplitResult) -> bool:
    try:
        with socket.create_connection((url.hostname or "", url.port or 0), ASK_S):
            return True
    except OSError:
        return False


def ask(url: str) -> Sign:
    """One part. No answer is an answer.

    >>> ask("http://127.0.0.1:1")[:2]
    (False, False)
    """
    try:
        with httpx2.Client(base_url=url, timeout=ASK_S, trust_env=False) as client:
            health, ready = (msgspec.json.decode(client.get(path).content, type=_Answer) for path in ("/health", "/ready"))
    except (httpx2.HTTPError, msgspec.MsgspecError) as error:
        return Sign(False, False, f"no answer at {url}: {type(error).__name__}")
    return Sign(health.alive, ready.ready, health.why or ready.why)
