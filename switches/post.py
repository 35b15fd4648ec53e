"""How records are posted to the collector: the one client, of the shipper and of the simulator."""

from __future__ import annotations

from collections.abc import Iterable

import httpx2


class PostError(Exception):
    """The records were not accepted, as far as is known: keep them and post them again; `retry_s` is the collector's Retry-After, or 0."""

    def __init__(self, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class Away(PostError):
    """No answer."""


class Busy(PostError):
    """The collector cannot take them now: 408, 429, 5xx."""


class Denied(PostError):
    """The token or the address is not allowed: 401, 403. A person must act; the records stay in the spool."""


class TooMuch(PostError):
    """The post is too large: 413. Post fewer at once."""


def connect(url: str, token: str, timeout_s: float = 30.0) -> httpx2.Client:
    """A client for a collector at `url` (http://host:port); one connection, reused."""
    return httpx2.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"},
        timeout=httpx2.Timeout(timeout_s, connect=min(5.0, timeout_s)),
        limits=httpx2.Limits(max_connections=1),
        trust_env=False,
    )


def post_records(client: httpx2.Client, lines: Iterable[bytes], *, complete_to_ms: int | None = None) -> int:
    """Posts lines (one record per line) and returns how many were accepted, after the collector's fsync. Else raises a `PostError`.

    `complete_to_ms`: all records until then have been delivered, with those of this post. A post of it without lines is a heartbeat.
    """
    body = b"\n".join(lines)
    headers = {} if complete_to_ms is None else {"X-Complete-To-Ms": str(complete_to_ms)}
    try:
        response = client.post("/v1/records", content=body, headers=headers)
        if response.status_code == 200:
            return int(response.json()["accepted"])
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Away(f"the collector at {client.base_url} did not answer: {type(error).__name__} {error}") from error
    message = f"the collector answers {response.status_code}: {_error_of(response)}"
    retry_s = response.headers.get("retry-after", "0")
    kind = {401: Denied, 403: Denied, 413: TooMuch}.get(response.status_code, Busy)
    raise kind(message, float(retry_s) if retry_s.isascii() and retry_s.isdigit() else 0.0)


def _error_of(response: httpx2.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
