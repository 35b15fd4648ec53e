"""How records are posted to the collector: the one client, of the shipper and of the simulator."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

import httpx2


class PostError(Exception):
    """The records were not accepted, as far as we know: keep them and post them again, in `retry_s` if the collector said so."""

    def __init__(self, words: str, retry_s: float = 0.0) -> None:
        super().__init__(words)
        self.retry_s = retry_s


class Away(PostError):
    """No answer."""


class Busy(PostError):
    """The collector cannot take them now: 408, 429, 5xx."""


class Denied(PostError):
    """The token or the address is not allowed: 401, 403. A person must act; the records keep."""


class TooMuch(PostError):
    """The post is too large: 413. Post fewer at once."""


def connect(url: str, token: str, timeout_s: float = 30.0) -> httpx2.Client:
    """A client for a collector at `url` (http://host:port); one connection, kept."""
    return httpx2.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"},
        timeout=httpx2.Timeout(timeout_s, connect=min(5.0, timeout_s)),
        limits=httpx2.Limits(max_connections=1),
        trust_env=False,
    )


def post_records(
    client: httpx2.Client, lines: Iterable[bytes], *, complete_to_ms: int | None = None, compress: bool = False
) -> int:
    """Posts lines (a record each, no newline inside); how many were accepted, after the collector's fsync. Else a `PostError`.

    `complete_to_ms`: everything until then has been delivered, this post included. No lines with it is a sign of life.
    """
    body = b"\n".join(lines)
    headers = {} if complete_to_ms is None else {"X-Complete-To-Ms": str(complete_to_ms)}
    if compress:
        body = gzip.compress(body, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    try:
        response = client.post("/v1/records", content=body, headers=headers)
        if response.status_code == 200:
            return int(response.json()["accepted"])
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Away(f"the collector at {client.base_url} did not answer: {type(error).__name__} {error}") from error
    words = f"the collector answers {response.status_code}: {_words(response)}"
    retry_s = response.headers.get("retry-after", "0")
    kind = {401: Denied, 403: Denied, 413: TooMuch}.get(response.status_code, Busy)
    raise kind(words, float(retry_s) if retry_s.isascii() and retry_s.isdigit() else 0.0)


def _words(response: httpx2.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
