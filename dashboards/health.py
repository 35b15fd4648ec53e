"""Whether each part lives and does its work: asked of its own `/health` and `/ready`, and what still works while it does not."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import msgspec

TIMEOUT_S = 1.5
MOST_WHY = 200

STILL_WORKS = {
    "collector": "Switches keep their records in their spools and nothing is lost; blocks stand.",
    "judge": "Records are taken and kept. Nothing new is priced, and no new alert or block comes; blocks that stand go on standing.",
    "watch": "Each account is watched as before. What only shows in the sum of all of them is not seen.",
    "store": "Figures stand still. Calls are judged and blocked all the same: alerts and blocks below are of now.",
    "dispatcher": "Switches hold the blocks that they have, and end them by themselves. No new one reaches them, and neither does an unblock: "
    "`ringfence unblock --all` and the hold file act without it.",
    "shipper": "The switch keeps its records in its spool and nothing is lost; blocks stand.",
    "kamailio": "No call passes this switch. What other switches carry is not touched.",
    "simulator": "No simulated traffic comes. Nothing else is touched.",
}
"""What a person may rely on while a part is down."""


@dataclass(frozen=True)
class Part:
    """`why` is "" where it is alive and ready."""

    name: str
    alive: bool
    ready: bool
    why: str = ""

    @property
    def still_works(self) -> str:
        return STILL_WORKS.get(self.name.partition("-")[0], "")


class Health:
    """Asks every part, all at once. One that does not answer costs the others nothing."""

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
            return Part(name, False, False, words_of(error))
        if alive.status_code != 200:
            return Part(name, False, False, "it is there and does nothing: " + why_of(alive.content, alive.status_code))
        if ready.status_code != 200:
            return Part(name, True, False, why_of(ready.content, ready.status_code))
        return Part(name, True, True)


def words_of(error: Exception) -> str:
    """
    >>> words_of(httpx2.ConnectError("[Errno 111] Connection refused")), words_of(httpx2.ReadTimeout("timed out"))
    ('it is not running: nobody listens at its address', 'it does not answer')
    """
    if isinstance(error, httpx2.ConnectError):
        return "it is not running: nobody listens at its address"
    return "it does not answer" if isinstance(error, httpx2.TimeoutException) else f"{type(error).__name__}: {error}"[:MOST_WHY]


def why_of(content: bytes, status: int) -> str:
    """The reason in a part's answer.

    >>> why_of(b'{"ready":false,"why":"the books do not answer"}', 503), why_of(b"<html>", 502)
    ('the books do not answer', 'it answers with 502')
    """
    try:
        said = msgspec.json.decode(content)
    except msgspec.DecodeError:
        said = None
    why = said.get("why") if isinstance(said, dict) else None
    return str(why)[:MOST_WHY] if why else f"it answers with {status}"
