"""Orders as a switch hears them: one protocol, and Kamailio's spelling of it (JSON-RPC over one kept HTTP connection).

Tables at the switch: `blocks` and `shadow` (entry -> order id, with a life), `protected` (digits, `A|account` or `T|trunk`,
of one tenant `A|tenant/account` -> why), `ctl` (boot, seq, hold, version). An entry is written the same way here and in `kamailio.cfg`.

Many entries go in one command (`ringfence.set`), and a table is compared by its digest (`switches.digest`): the switch's own
script answers both, behind the same token, fence and grammar.

Headers of a request: `X-Ringfence-Token` (the switch's control token) and `X-Ringfence-Fence` (the number of the deliverer's
lease; a switch that has seen a higher one answers 409; without it a command is a person's). The hold flag needs no fence: a
person turns it, whoever holds the lease.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import httpx2
import msgspec

from core.orders import Key
from switches.digest import BUCKETS, unspell

BLOCKS, SHADOW, PROTECTED, CTL = "blocks", "shadow", "protected", "ctl"
TOKEN_HEADER, FENCE_HEADER = "X-Ringfence-Token", "X-Ringfence-Fence"

TIMEOUT_S = 3.0
"""Of one command, from the first byte sent to the last one read. A switch that drips its answer is as good as one that hangs."""

MAX_ANSWER_BYTES = 16 << 20

MAX_COMMAND_BYTES = 12_000
"""Of one `ringfence.set`: Kamailio reads a request into a buffer of 16 kB."""

DIGEST_TIMEOUT_S = 15.0
"""Of a command that reads a whole table: a million entries take two seconds."""

LISTED = 5_000
"""About so many entries are asked for in one `ringfence.list`."""


class ControlError(Exception):
    """The switch did not do what was asked, or we cannot know whether it did: ask again, every command is harmless when
    repeated."""


class Unreachable(ControlError):
    """No answer, or one that is no JSON-RPC: it would be the same for any other command."""


class Fenced(ControlError):
    """The switch has heard a later deliverer: this one must stop."""


class Denied(ControlError):
    """The token is wrong or the method is not allowed."""


class Change(NamedTuple):
    """One entry to be set or (order_id "") taken off. `ttl_s` 0 only where entries have no life: in `protected`."""

    table: str
    entry: str
    order_id: str
    ttl_s: int


class Digest(NamedTuple):
    """What a table holds, by bucket, with what has expired and is not swept yet."""

    entries: int
    sums: dict[int, int]


class Control(Protocol):
    """What the dispatcher asks of any switch. Every command may be repeated; every failure is a `ControlError`."""

    fence: int

    def set_block(self, entry: str, order_id: str, ttl_s: int, table: str = BLOCKS) -> None: ...
    def remove_block(self, entry: str, table: str = BLOCKS) -> None: ...
    def get_block(self, entry: str, table: str = BLOCKS) -> str: ...
    def table_count(self, table: str = BLOCKS) -> int: ...
    def set_many(self, changes: Sequence[Change]) -> None: ...
    def digest(self, table: str = BLOCKS) -> Digest: ...
    def listed(self, table: str, buckets: Collection[int], count: int) -> dict[str, str]: ...
    def entries(self, table: str = BLOCKS) -> dict[str, str]: ...
    def clear(self, table: str) -> None: ...
    def set_protected(self, entry: str, why: str) -> None: ...
    def boot(self) -> str: ...
    def hold(self) -> bool: ...
    def set_hold(self, on: bool) -> None: ...
    def version(self) -> str: ...
    def set_version(self, version: str) -> None: ...
    def close(self) -> None: ...


def entry(key: Key) -> str:
    """A key as the switch's table spells it. The parts are names and digits only (`core.safety.fault`), so `|` cannot come from
    inside.

    >>> entry(Key(tenant="t1", account="acme", b_range="88213")), entry(Key(tenant="t1", ingress_trunk="tg7", a_number="4318"))
    ('t1|A|acme||88213', 't1|T|tg7|4318|')
    """
    return entry_of(key.tenant, key.account, key.ingress_trunk, key.a_number, key.b_range)


def entry_of(tenant: str, account: str, trunk: str, a_number: str, b_range: str) -> str:
    """The same from the parts of a key."""
    return f"{tenant}|A|{account}|{a_number}|{b_range}" if account else f"{tenant}|T|{trunk}|{a_number}|{b_range}"


def seconds_left(expires_at_ms: int, now_ms: int) -> int:
    """The life to give an entry, so that it ends at its time and at most a second later. Switches count in whole seconds of the
    clock, and an entry of n seconds lives until the end of the n-th after this one.

    >>> seconds_left(10_000, 4_900), seconds_left(10_001, 4_900), seconds_left(5_000, 4_900)
    (5, 6, 1)
    """
    return max(1, -(-expires_at_ms // 1000) - 1 - now_ms // 1000)


def _commands(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """As many changes as one command takes.

    >>> [len(some) for some in _commands([Change(BLOCKS, "t1|A|acme||88213", "order-1", 60)] * 500)]
    [235, 235, 30]
    """
    some: list[Change] = []
    size = 0
    for change in changes:
        wide = sum(len(text.encode()) for text in change[:3]) + 22  # quotes, commas and the seconds
        if some and size + wide > MAX_COMMAND_BYTES:
            yield some
            some, size = [], 0
        some.append(change)
        size += wide
    if some:
        yield some


class JsonRpcControl:
    """Kamailio's `htable` over JSON-RPC. One connection, kept; not for several threads at once."""

    def __init__(self, url: str, token: str, *, fence: int = 0, timeout_s: float = TIMEOUT_S) -> None:
        self.fence = fence
        self._token = token
        self._timeout_s = timeout_s
        self._call_no = 0
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60)
        # trust_env=False: a proxy in the environment must never stand between us and the switch.
        self._http = httpx2.Client(base_url=url, timeout=timeout_s, limits=limits, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        self._http.close()

    # --- blocks ---

    def set_block(self, entry: str, order_id: str, ttl_s: int, table: str = BLOCKS) -> None:
        """Value and life in one command, so that no entry is ever without an end."""
        self._call("htable.setxs", table, entry, order_id, max(1, ttl_s))

    def remove_block(self, entry: str, table: str = BLOCKS) -> None:
        """Absent afterwards, whether or not it was there."""
        self._call("htable.delete", table, entry, absent_is_fine=True)

    def get_block(self, entry: str, table: str = BLOCKS) -> str:
        """The order id, or ""."""
        return self._value(table, entry)

    def set_many(self, changes: Sequence[Change]) -> None:
        """All of these, in order, in as few commands as their bytes allow. After an error some of them may be done: all may be
        sent again."""
        for some in _commands(changes):
            self._call("ringfence.set", *(part for change in some for part in change))

    def digest(self, table: str = BLOCKS) -> Digest:
        """The table in sums; it is read from end to end for this (100,000 entries: 0.15 s of the switch's control worker)."""
        answer = self._call("ringfence.digest", table, timeout_s=DIGEST_TIMEOUT_S)
        try:
            return Digest(int(answer["count"]), unspell(answer["marks"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Unreachable(f"ringfence.digest of {table} answered another shape: {error!r}") from error

    def listed(self, table: str, buckets: Collection[int], count: int) -> dict[str, str]:
        """The entries of some buckets of a table of `count` entries."""
        wanted = [f"{bucket:03x}" for bucket in buckets]
        at_once = max(1, min(LISTED * BUCKETS // max(count, 1), MAX_COMMAND_BYTES // 8))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), at_once):
            flat = self._call("ringfence.list", table, *wanted[start : start + at_once], timeout_s=DIGEST_TIMEOUT_S)
            if not isinstance(flat, list) or len(flat) % 2 or not all(isinstance(text, str) for text in flat):
                raise Unreachable(f"ringfence.list of {table} answered another shape")
            # JSON has no bytes: each travels as the letter of its number.
            texts = [text.encode("latin-1", "replace").decode("utf-8", "replace") for text in flat]
            found.update(zip(texts[::2], texts[1::2], strict=True))
        return found

    def table_count(self, table: str = BLOCKS) -> int:
        """Entries in the table, with those that have expired and are not swept yet."""
        stats = self._call("htable.stats")
        for row in stats if isinstance(stats, list) else []:
            if isinstance(row, dict) and row.get("name") == table and isinstance(row.get("all"), int):
                return int(row["all"])
        raise ControlError(f"the switch has no table {table!r}")

    def entries(self, table: str = BLOCKS) -> dict[str, str]:
        """The whole table, for people and tests: only while it is small (10,000 entries take 0.1 s, 100,000 never answer). Expired
        ones are in it until swept."""
        try:
            slots = self._call("htable.dump", table) or []
            return {str(item["name"]): str(item["value"]) for slot in slots for item in slot["slot"]}
        except (KeyError, TypeError) as error:
            raise Unreachable(f"htable.dump of {table} answered another shape: {error!r}") from error

    def clear(self, table: str) -> None:
        """Empties a table."""
        self._call("htable.flush", table)

    def set_protected(self, entry: str, why: str) -> None:
        self._call("htable.sets", PROTECTED, entry, why)

    # --- ctl ---

    def boot(self) -> str:
        return self._value(CTL, "boot")

    def hold(self) -> bool:
        """Whether a person has turned all our blocks off. Anything but an absent flag or 0 counts as on."""
        return self._value(CTL, "hold") not in ("", "0")

    def set_hold(self, on: bool) -> None:
        self._call("htable.seti", CTL, "hold", int(on))

    def version(self) -> str:
        return self._value(CTL, "version")

    def set_version(self, version: str) -> None:
        self._call("htable.sets", CTL, "version", version)

    # --- wire ---

    def _value(self, table: str, name: str) -> str:
        result = self._call("htable.get", table, name, absent_is_fine=True)
        if result is None:
            return ""
        try:
            return str(result["item"]["value"])
        except (KeyError, TypeError) as error:
            raise Unreachable(f"htable.get of {table} {name} answered another shape: {error!r}") from error

    def _call(self, method: str, *params: object, absent_is_fine: bool = False, timeout_s: float = 0.0) -> Any:
        self._call_no += 1
        body = msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params, "id": self._call_no})
        answer = self._post(method, body, max(timeout_s, self._timeout_s) if timeout_s else self._timeout_s)
        if not isinstance(answer, dict) or answer.get("id") != self._call_no:
            raise Unreachable(f"{method}: the answer is not the one to our request")
        if error := answer.get("error"):
            message = str(error.get("message", error)) if isinstance(error, dict) else str(error)
            if absent_is_fine and ("doesn't exist" in message or "not found in htable" in message):
                return None
            raise ControlError(f"{method}: {message[:200]}")
        if "result" not in answer:
            raise Unreachable(f"{method}: an answer without result or error")
        return answer["result"]

    def _post(self, method: str, body: bytes, timeout_s: float) -> Any:
        headers = {TOKEN_HEADER: self._token, "Content-Type": "application/json"}
        if self.fence:
            headers[FENCE_HEADER] = str(self.fence)
        deadline = time.monotonic() + timeout_s
        answer = bytearray()
        try:
            with self._http.stream("POST", "", content=body, headers=headers, timeout=timeout_s) as response:
                for piece in response.iter_bytes():
                    answer += piece
                    if len(answer) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                        raise Unreachable(f"{method}: the answer is too long or too slow")
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise Unreachable(f"{method}: {error!r}") from error
        if response.status_code in (401, 403):
            raise Denied(f"{method}: the switch answers {response.status_code}")
        if response.status_code == 409:
            raise Fenced(f"{method}: the switch has heard a deliverer later than {self.fence}")
        if response.status_code == 400:
            raise ControlError(f"{method}: the switch does not take this command: {bytes(answer[:200])!r}")
        if response.status_code != 200 and not answer.startswith(b"{"):
            raise Unreachable(f"{method}: the switch answers {response.status_code}")
        try:
            return msgspec.json.decode(bytes(answer))
        except (msgspec.DecodeError, ValueError) as error:
            raise Unreachable(f"{method}: the answer is not JSON: {error}") from error
