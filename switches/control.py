"""The commands of the deliverer to a switch: one small protocol, and the code that its drivers share.

The rows of a table are those of `books.deliveries`; a driver translates their names and values for its switch. Each command may be
repeated; each failure is a `ControlError`.

Headers of a request: `X-Ringfence-Token` (the switch's control token) and `X-Ringfence-Fence` (the number of the deliverer's lease; a
switch that was sent a higher one answers 409; a command without it comes from a person). The hold flag needs no fence: a person sets
it, whoever has the lease.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import httpx2

TOKEN_HEADER, FENCE_HEADER = "X-Ringfence-Token", "X-Ringfence-Fence"

TIMEOUT_S = 3.0
"""Of one command, from the first byte sent to the last one read. A switch that sends its answer in drops counts as one that hangs."""

MAX_ANSWER_BYTES = 16 << 20


class ControlError(Exception):
    """The switch did not execute the command, or we cannot know whether it did: send it again, a repeat is harmless."""


class Unreachable(ControlError):
    """No answer, or one that cannot be read: other commands would fail too."""


class Fenced(ControlError):
    """A deliverer with a higher fence has written to the switch: this one must stop."""


class Denied(ControlError):
    """The token is wrong or the command is not allowed."""


class Change(NamedTuple):
    """One row to be set or (value "") removed. `ttl_s`: its time to live; 0 in tables whose rows do not expire, and only there."""

    table: str
    name: str
    value: str
    ttl_s: int


class DesiredRow(NamedTuple):
    """A row as the books have it. Not `certain`: the switch may have it or not (it is being sent or removed, or about to expire)."""

    value: str
    certain: bool


class Drift(NamedTuple):
    """Names that are missing at the switch or have another value there, and names that the books do not have."""

    missing: list[str]
    surplus: list[str]


class Control(Protocol):
    """A switch's control port, with one connection. Not for several threads at once."""

    fence: int

    def identity(self) -> str:
        """The boot id of the switch: another one after each restart, and then the rows that it lost are sent again."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Applies all changes, in order. After an error some of them may be applied: all may be sent again."""

    def entries(self, table: str) -> dict[str, str]:
        """The whole table: name -> value, as the switch writes them."""

    def compare(self, table: str, rows: Mapping[str, DesiredRow]) -> Drift:
        """Compares the table with the books: by a digest where the switch has one, else by `drift` over `entries`."""

    def hold(self) -> bool:
        """Whether a person has turned all blocks off at the switch. The flag survives a restart of the switch."""

    def set_hold(self, on: bool) -> None: ...

    def close(self) -> None: ...


def drift(held: Mapping[str, str], rows: Mapping[str, DesiredRow]) -> Drift:
    """How the rows of a switch differ from the books'.

    >>> drift({"a": "1", "x": "1"}, {"a": DesiredRow("2", True), "b": DesiredRow("1", True), "c": DesiredRow("1", False)})
    Drift(missing=['a', 'b'], surplus=['x'])
    """
    return Drift(
        [name for name, (value, certain) in rows.items() if certain and held.get(name) != value],
        [name for name in held if name not in rows],
    )


def seconds_left(until_ms: int, now_ms: int) -> int:
    """The time to live with which an entry ends at its time, or at most a second later. Switches count in whole seconds of the clock:
    an entry of n seconds lives until the end of the n-th second after the present one.

    >>> seconds_left(10_000, 4_900), seconds_left(10_001, 4_900), seconds_left(5_000, 4_900)
    (5, 6, 1)
    """
    return max(1, -(-until_ms // 1000) - 1 - now_ms // 1000)


class Connection:
    """One HTTP connection to a control port, with limits on time and size; its error statuses become `ControlError`s."""

    def __init__(self, url: str, token: str, timeout_s: float = TIMEOUT_S) -> None:
        self._token = token
        self._timeout_s = timeout_s
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60)
        # trust_env=False: no proxy of the environment between us and the switch.
        self._http = httpx2.Client(base_url=url, timeout=timeout_s, limits=limits, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        self._http.close()

    def ask(self, what: str, method: str, path: str, body: bytes, fence: int, timeout_s: float = 0.0) -> bytes:
        """The body of a 200; `what` names the command in errors. `timeout_s`: of a command that takes longer than others."""
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
            raise Unreachable(f"{what}: {_words(error, timeout_s)}") from error
        if response.status_code in (401, 403):
            raise Denied(f"{what}: the switch answers {response.status_code}")
        if response.status_code == 409:
            raise Fenced(f"{what}: a deliverer later than {fence} has written to the switch")
        if response.status_code == 400:
            raise ControlError(f"{what}: the switch does not take this command: {bytes(answer[:200])!r}")
        if response.status_code != 200 and not answer.startswith(b"{"):
            raise Unreachable(f"{what}: the switch answers {response.status_code}")
        return bytes(answer)


def _words(error: Exception, timeout_s: float) -> str:
    """Why there was no answer, for who is woken by it.

    >>> _words(httpx2.ConnectError("[Errno 111] Connection refused"), 3.0), _words(httpx2.ReadTimeout("x"), 3.0)
    ('nothing answers at its control address ([Errno 111] Connection refused)', 'no answer in 3 s')
    """
    if isinstance(error, httpx2.TimeoutException):
        return f"no answer in {timeout_s:g} s"
    if isinstance(error, httpx2.ConnectError):
        return f"nothing answers at its control address ({error})"
    return repr(error)
