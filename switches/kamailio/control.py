"""The driver of `switches.control` for Kamailio: its tables over JSON-RPC.

Tables are those of `books.deliveries`, each an `htable` with entries as `switches.kamailio.tables` writes them, and `ctl` (boot, hold, fence).
Many entries go in one command (`ringfence.set`), and a table is compared by its digest (`switches.kamailio.digest`): the switch's own
script answers both, after the same checks of token, fence and grammar.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from books.deliveries import BLOCKS, SHADOW
from switches.control import Change, Connection, ControlError, DesiredRow, Drift, Unreachable
from switches.kamailio.digest import BUCKETS, explains, mark, parse
from switches.kamailio.tables import spell, spell_name

CTL = "ctl"

MAX_COMMAND_BYTES = 12_000
"""Of one `ringfence.set`: Kamailio reads a request into a buffer of 16 kB."""

DIGEST_TIMEOUT_S = 15.0
"""Of a command that reads a whole table: a million entries take two seconds."""

LISTED = 5_000
"""About so many entries are requested with one `ringfence.list`."""


class Digest(NamedTuple):
    """The content of a table by bucket, with entries that have expired and are not yet removed."""

    entries: int
    sums: dict[int, int]


class KamailioControl:
    """One connection. Not for several threads at once."""

    def __init__(self, url: str, token: str) -> None:
        self.fence = 0
        self._call_no = 0
        self._connection = Connection(url, token)

    def close(self) -> None:
        self._connection.close()

    def identity(self) -> str:
        return self._value(CTL, "boot")

    def hold(self) -> bool:
        """Anything but an absent flag or 0 counts as on."""
        return self._value(CTL, "hold") not in ("", "0")

    def set_hold(self, on: bool) -> None:
        self._call("htable.seti", CTL, "hold", int(on))

    def apply(self, changes: Sequence[Change]) -> None:
        """In as few commands as their size allows. A row that Kamailio cannot hold is a `ControlError`, and no row is sent."""
        try:
            spelled = [change._replace(name=name, value=value) for change in changes for name, value in [spell(*change[:3])]]
        except ValueError as error:
            raise ControlError(str(error)) from error
        for some in _commands(spelled):
            self._call("ringfence.set", *(part for change in some for part in change))

    def entries(self, table: str) -> dict[str, str]:
        """Also expired entries, until they are removed."""
        summed = self.digest(table)
        return self.listed(table, summed.sums, summed.entries)

    def compare(self, table: str, rows: Mapping[str, DesiredRow]) -> Drift:
        """Exact at any size: the switch computes the digest of its table, and only buckets whose sums differ from the books' are listed."""
        spelled, names = _spelled(table, rows)
        found = self.digest(table)
        sure: dict[int, int] = {}
        unsure: dict[int, list[int]] = {}
        for name, (value, certain) in spelled.items():
            bucket, one = mark(name, value)
            if certain:
                sure[bucket] = sure.get(bucket, 0) + one
            elif value:
                unsure.setdefault(bucket, []).append(one)
        odd = {
            bucket
            for bucket in sure.keys() | found.sums.keys()
            if not explains(found.sums.get(bucket, 0), sure.get(bucket, 0), unsure.get(bucket, []))
        }
        if not odd:
            return Drift([], [])
        held = self.listed(table, sorted(odd & found.sums.keys()), found.entries)
        missing = [
            names.get(name, name)
            for name, (value, certain) in spelled.items()
            if certain and held.get(name) != value and mark(name, value)[0] in odd
        ]
        surplus = [name for name in held if name not in spelled]
        if table in (BLOCKS, SHADOW):  # an expired entry is listed until it is removed, but is not found by its name
            surplus = [name for name in surplus if self._value(table, name)]
        return Drift(missing, surplus)

    def digest(self, table: str) -> Digest:
        """The digest of a table. The switch reads all of it for this (100,000 entries: 0.15 s of its control worker)."""
        answer = self._call("ringfence.digest", table, timeout_s=DIGEST_TIMEOUT_S)
        try:
            return Digest(int(answer["count"]), parse(answer["marks"]))
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
            # JSON has no bytes: each is sent as the character of its number.
            texts = [text.encode("latin-1", "replace").decode("utf-8", "replace") for text in flat]
            found.update(zip(texts[::2], texts[1::2], strict=True))
        return found

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
        text = self._connection.ask(method, "POST", "", body, self.fence, timeout_s)
        try:
            answer = msgspec.json.decode(text)
        except (msgspec.DecodeError, ValueError) as error:
            raise Unreachable(f"{method}: the answer is not JSON: {error}") from error
        if not isinstance(answer, dict) or answer.get("id") != self._call_no:
            raise Unreachable(f"{method}: the answer is not the one to our request")
        if problem := answer.get("error"):
            message = str(problem.get("message", problem)) if isinstance(problem, dict) else str(problem)
            if absent_is_fine and ("doesn't exist" in message or "not found in htable" in message):
                return None
            raise ControlError(f"{method}: {message[:200]}")
        if "result" not in answer:
            raise Unreachable(f"{method}: an answer without result or error")
        return answer["result"]


def _spelled(table: str, rows: Mapping[str, DesiredRow]) -> tuple[Mapping[str, DesiredRow], dict[str, str]]:
    """The rows as Kamailio writes them, and their names in the books where they differ. A row that it cannot hold is not certain: it was
    refused when it was sent, and stays due."""
    if table in (BLOCKS, SHADOW):
        return rows, {}
    spelled: dict[str, DesiredRow] = {}
    names: dict[str, str] = {}
    for name, (value, certain) in rows.items():
        try:
            there, text = spell(table, name, value)
        except ValueError:
            there, text, certain = spell_name(table, name), "", False
        spelled[there] = DesiredRow(text, certain)
        names[there] = name
    return spelled, names


def _commands(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """The changes in groups that one command takes.

    >>> [len(some) for some in _commands([Change("blocks", "t1|A|acme||88213", "order-1", 60)] * 500)]
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
