"""A dip over HTTP: GET URL with {number} in it, which answers JSON with the field `lrn`, or 404 for a number that was not ported."""

from __future__ import annotations

import re

import httpx2
import msgspec

from services.portability.dip import DipError


class _Body(msgspec.Struct):
    lrn: str | None = None


class HttpDip:
    """One service; its connections are kept open."""

    def __init__(self, url: str, timeout_ms: int) -> None:
        self._url = url
        self._timeout_ms = timeout_ms
        self._http = httpx2.Client(timeout=timeout_ms / 1000, trust_env=False, follow_redirects=False)

    def ask(self, number: str) -> str:
        """As `services.portability.dip.Dip`."""
        try:
            answer = self._http.get(self._url.replace("{number}", number))
        except httpx2.TimeoutException:
            raise DipError(f"the service did not answer within {self._timeout_ms} ms") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise DipError(f"the service cannot be reached: {error}") from None
        if answer.status_code == 404:
            return ""
        if answer.status_code != 200:
            raise DipError(f"the service answers {answer.status_code}")
        try:
            lrn = (msgspec.json.decode(answer.content[:65_536], type=_Body).lrn or "").removeprefix("+")
        except msgspec.DecodeError as error:
            raise DipError(f"the service answers no JSON with an lrn: {error}") from None
        if lrn and not re.fullmatch("[0-9]{2,18}", lrn):
            raise DipError(f"the service answers {lrn[:20]!r}, which is no LRN")
        return lrn
