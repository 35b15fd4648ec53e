"""The answered calls of the last hour, in memory, to count those that a block would have refused. The dispatcher reads it while orders wait;
a thread of its own loads the hour from the warehouse, which may hang."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import structlog

from core.orders import EVERYONE, Key
from switches.once import Once

HOUR_MS = 3_600_000

OLD_MS = 10 * 60_000
"""An hour that was loaded longer ago is not used."""

log = structlog.get_logger(__name__)


class Answered(NamedTuple):
    """A count of answered calls that have these fields in common."""

    tenant: str
    account: str
    ingress_trunk: str
    a_number: str
    b_number: str  # or its first digits, as many as the longest range of an order has
    calls: int


Fetch = Callable[[int, int], Iterable[Answered]]
"""(from_ms, to_ms) -> the calls answered between the two."""


class AnsweredHour:
    """Counts the calls that a set of keys would have refused.

    >>> hour, acme = AnsweredHour(), Answered("t1", "acme", "tg1", "43181", "88213", 3)
    >>> hour.take([acme, Answered("t1", "blue", "tg2", "43182", "4351", 7)], at_ms=1000)
    >>> hour("t1", [Key(tenant="t1", account="acme", b_range="882"), Key(tenant="t1", account="acme")], 2000)
    (3, 10)
    >>> hour("t2", [], 2000), hour("t1", [], 1000 + OLD_MS + 1)
    ((0, 0), None)
    """

    def __init__(self) -> None:
        self._at_ms: int | None = None
        self._all: dict[str, int] = {}
        self._by_who: dict[tuple[str, str, str], list[Answered]] = {}  # (tenant, "A" or "T", name)

    def take(self, rows: Iterable[Answered], at_ms: int) -> None:
        """Replaces the hour. The new one is built beside the old one, which is read meanwhile."""
        every: dict[str, int] = defaultdict(int)
        by_who: dict[tuple[str, str, str], list[Answered]] = defaultdict(list)
        for row in rows:
            every[row.tenant] += row.calls
            by_who[row.tenant, "A", row.account].append(row)
            by_who[row.tenant, "A", EVERYONE].append(row)
            by_who[row.tenant, "T", row.ingress_trunk].append(row)
        self._all, self._by_who, self._at_ms = dict(every), dict(by_who), at_ms

    def __call__(self, tenant: str, keys: Sequence[Key], now_ms: int) -> tuple[int, int] | None:
        if self._at_ms is None or now_ms - self._at_ms > OLD_MS:
            return None
        refused: dict[int, int] = {}  # a call that two keys refuse counts once
        for key in set(keys):
            who = (tenant, "A", key.account) if key.account else (tenant, "T", key.ingress_trunk)
            for row in self._by_who.get(who, ()):
                if row.b_number.startswith(key.b_range) and key.a_number in ("", row.a_number):
                    refused[id(row)] = row.calls
        return sum(refused.values()), self._all.get(tenant, 0)


def keep_fetching(
    hour: AnsweredHour, fetch: Fetch, clock: Callable[[], int], stop: threading.Event, every_s: float = 30.0
) -> threading.Thread:
    """A thread that loads the hour each `every_s` until `stop`. While that fails the hour grows old, and then it is not used."""

    away = Once(log.warning)

    def run() -> None:
        while not stop.is_set():
            now_ms = clock()
            try:
                hour.take(fetch(now_ms - HOUR_MS, now_ms), now_ms)
            except Exception as error:  # noqa: BLE001 - the warehouse may be down in any way
                away.begins(f"the answered calls of the last hour could not be loaded: {type(error).__name__}: {error}")
            else:
                away.ends("the answered calls of the last hour are loaded again")
            stop.wait(every_s)

    thread = threading.Thread(target=run, name="answered-hour", daemon=True)
    thread.start()
    return thread
