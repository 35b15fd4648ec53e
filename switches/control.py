"""What the deliverer asks of a switch: one small protocol per kind of switch, and what its drivers share.

The rows of a table are `books.deliveries`'; a driver translates their names and values into its switch's own. Every command may be
repeated; every failure is a `ControlError`.

Headers of a request: `X-Ringfence-Token` (the switch's control token) and `X-Ringfence-Fence` (the number of the deliverer's lease; a
switch that was sent a higher one answers 409; without it a command is a person's). The hold flag needs no fence: a person turns it,
whoever holds the lease.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import httpx2

TOKEN_HEADER, FENCE_HEADER = "X-Ringfence-Token", "X-Ringfence-Fence"

TIMEOUT_S = 3.0
"""Of one command, from the first byte sent to the last one read. A switch that drips its answer is as good as one that hangs."""

MAX_ANSWER_BYTES = 16 << 20


class ControlError(Exception):
    """The switch did not do what was asked, or we cannot know whether it did: ask again, every command is harmless when
    repeated."""


class Unreachable(ControlError):
    """No answer, or one that cannot be read: it would be the same for any other command."""


class Fenced(ControlError):
    """A later deliverer has written to the switch: this one must stop."""


class Denied(ControlError):
    """The token is wrong or the command is not allowed."""


class Change(NamedTuple):
    """One row to be set or (value "") removed. `ttl_s`: how long it lives; 0 only in tables without an end."""

    table: str
    name: str
    value: str
    ttl_s: int


class Wanted(NamedTuple):
    """A row as the books have it. Not `certain`: it may be at the switch or not (on its way there, about to end, being removed)."""

    value: str
    certain: bool


class Drift(NamedTuple):
    """Names that are certainly missing or have another value, and names that the books do not have."""

    missing: list[str]
    strangers: list[str]


class Control(Protocol):
    """A switch's control port, with one connection. Not for several threads at once."""

    fence: int

    def identity(self) -> str:
        """The switch's present run: another one after every restart. What it lost with the restart is sent again."""

    def apply(self, changes: Sequence[Change]) -> None:
        """All of these, in order. After an error some of them may be done: all may be sent again."""

    def entries(self, table: str) -> dict[str, str]:
        """Name -> value, as the switch spells them: the whole table."""

    def compare(self, table: str, rows: Mapping[str, Wanted]) -> Drift:
        """The table against the books': by a digest where the switch can give one, else by `drift` over `entries`."""

    def hold(self) -> bool:
        """Whether a person has turned all our blocks off. It survives the switch's restart."""

    def set_hold(self, on: bool) -> None: ...

    def close(self) -> None: ...


def drift(held: Mapping[str, str], rows: Mapping[str, Wanted]) -> Drift:
    """How the rows of a switch differ from the books'.

    >>> drift({"a": "1", "x": "1"}, {"a": Wanted("2", True), "b": Wanted("1", True), "c": Wanted("1", False)})
    Drift(missing=['a', 'b'], strangers=['x'])
    """
    return Drift(
        [name for name, (value, certain) in rows.items() if certain and held.get(name) != value],
        [name for name in held if name not in rows],
    )


def seconds_left(until_ms: int, now_ms: int) -> int:
    """The life to give an entry, so that it ends at its time and at most a second later. Switches count in whole seconds of the
    clock, and an entry of n seconds lives until the end of the n-th after this one.

    >>> seconds_left(10_000, 4_900), seconds_left(10_001, 4_900), seconds_left(5_000, 4_900)
    (5, 6, 1)
    """
    return max(1, -(-until_ms // 1000) - 1 - now_ms // 1000)


class Connection:
    """One HTTP connection to a control port, with bounds on time and size and one reading of its refusals."""

    def __init__(self, url: str, token: str, timeout_s: float = TIMEOUT_S) -> None:
        self._token = token
        self._timeout_s = timeout_s
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60)
        # trust_env=False: a proxy in the environment must never stand between us and the switch.
        self._http = httpx2.Client(base_url=url, timeout=timeout_s, limits=limits, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        self._http.close()

    def ask(self, what: str, method: str, path: str, body: bytes, fence: int, timeout_s: float = 0.0) -> bytes:
        """The body of a good answer; `what` names the command in errors. `timeout_s`: of a command that takes longer than others."""
        timeout_s = max(timeout_s, self._timeout_s) if timeout_s else self._timeout_s
        headers = {TOKEN_HEADER: self._token, "Content-Type": "application/json"} | ({FENCE_HEADER: str(fence)} if fence else {})
        deadline = time.monotonic() + timeout_s
        answer = bytearray()
        try:
            with self._http.stream(method, path, content=body, headers=headers, timeout=timeout_s) as response:
                for piece in response.iter_bytes():
                    answer += piece
                    if len(answer) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                        raise Unreachable(f"{what}: the answer is too long or too slow")
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise Unreachable(f"{what}: {error!r}") from error
        if response.status_code in (401, 403):
            raise Denied(f"{what}: the switch answers {response.status_code}")
        if response.status_code == 409:
            raise Fenced(f"{what}: a deliverer later than {fence} has written to the switch")
        if response.status_code == 400:
            raise ControlError(f"{what}: the switch does not take this command: {bytes(answer[:200])!r}")
        if response.status_code != 200 and not answer.startswith(b"{"):
            raise Unreachable(f"{what}: the switch answers {response.status_code}")
        return bytes(answer)
