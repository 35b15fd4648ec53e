"""Records and money per second, over the last minutes and now: exact sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from dashboards.warehouse_client import WarehouseClient
from warehouse import queries

WINDOW_MS = 15 * 60_000
"""What the charts show."""
RECENT_MS = 60_000
"""Queried each time; older seconds are queried again every `WHOLE_EVERY_MS`, for rows that were stored late."""
WHOLE_EVERY_MS = 60_000
NOW_MS = 10_000
"""`now` is the mean over this time."""
FLUSH_MS = 3_000
"""`store` writes once per second: the last seconds are not complete yet."""

Pair = tuple[str, str]
"""Currency of the sale, currency of the purchase."""


@dataclass(frozen=True)
class Sum:
    """Calls, and their sell and buy amounts."""

    calls: int = 0
    sell: Decimal = Decimal(0)
    buy: Decimal = Decimal(0)

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.calls + other.calls, self.sell + other.sell, self.buy + other.buy)


@dataclass(frozen=True)
class Traffic:
    """Per second: records, and money by the two currencies, from `from_ms` to `asked_ms`."""

    from_ms: int
    asked_ms: int
    records: Mapping[int, int] = field(default_factory=dict)
    money: Mapping[tuple[int, Pair], Sum] = field(default_factory=dict)

    @property
    def newest_ms(self) -> int | None:
        """The last second with a record."""
        return max(self.records, default=None)


@dataclass(frozen=True)
class Money:
    """Amounts in one currency. `margin`: of calls that were sold and bought in it; `across`: calls that were bought in another one."""

    currency: str
    calls: int
    sell: Decimal
    buy: Decimal
    margin: Decimal
    across: int

    def by(self, seconds: int) -> Money:
        """The exact share per second."""
        return Money(self.currency, self.calls, self.sell / seconds, self.buy / seconds, self.margin / seconds, self.across)


@dataclass(frozen=True)
class Now:
    """Rates over the last complete seconds."""

    records_s: Decimal
    money_s: tuple[Money, ...]
    from_ms: int
    to_ms: int


class TrafficQuery:
    """Queries the warehouse; caches the older seconds, which hardly change."""

    def __init__(self, client: WarehouseClient, tenant: str) -> None:
        self._client, self._tenant = client, tenant
        self._known: Traffic | None = None
        self._whole_ms = 0

    def ask(self, now_ms: int) -> Traffic:
        whole = self._known is None or now_ms - self._whole_ms >= WHOLE_EVERY_MS
        from_ms = second_of(now_ms - (WINDOW_MS if whole else RECENT_MS))
        records = self._client.ask(queries.records_per_second(from_ms, self._tenant))
        money = self._client.ask(queries.money_per_second(from_ms, self._tenant))
        fresh = read(records, money, from_ms, now_ms)
        self._known = fresh if self._known is None or whole else merged(self._known, fresh)
        self._whole_ms = now_ms if whole else self._whole_ms
        return self._known


def second_of(at_ms: int) -> int:
    return at_ms - at_ms % 1000


def read(records: list[dict[str, Any]], money: list[dict[str, Any]], from_ms: int, now_ms: int) -> Traffic:
    """The rows of the warehouse as `Traffic`."""
    return Traffic(
        from_ms,
        now_ms,
        {row["second_ms"]: row["records"] for row in records},
        {
            (row["second_ms"], (row["sell_currency"], row["buy_currency"])): Sum(
                row["calls"], row["sell"] or Decimal(0), row["buy"] or Decimal(0)
            )
            for row in money
        },
    )


def merged(known: Traffic, fresh: Traffic) -> Traffic:
    """The known seconds, replaced by the fresh ones; seconds older than the window are dropped.

    >>> old = Traffic(0, 2_000, {0: 5, 1_000: 1})
    >>> merged(old, Traffic(1_000, 3_000, {1_000: 4, 2_000: 3})).records
    {0: 5, 1000: 4, 2000: 3}
    """
    start_ms = max(known.from_ms, second_of(fresh.asked_ms - WINDOW_MS))
    records = {at: n for at, n in known.records.items() if start_ms <= at < fresh.from_ms}
    money = {key: one for key, one in known.money.items() if start_ms <= key[0] < fresh.from_ms}
    return Traffic(start_ms, fresh.asked_ms, records | dict(fresh.records), money | dict(fresh.money))


def by_currency(sums: Mapping[Pair, Sum]) -> tuple[Money, ...]:
    """Sums of pairs of currencies as one row per currency, the one with most calls first.

    >>> by_currency({("EUR", "EUR"): Sum(2, Decimal(5), Decimal(3)), ("EUR", "USD"): Sum(1, Decimal(1), Decimal(9))})[0]
    Money(currency='EUR', calls=3, sell=Decimal('6'), buy=Decimal('3'), margin=Decimal('2'), across=1)
    """
    found = []
    for currency in {one for pair in sums for one in pair if one}:
        sold = [(pair, one) for pair, one in sums.items() if pair[0] == currency]
        bought = [one for pair, one in sums.items() if pair[1] == currency]
        whole = sum((one for pair, one in sold if pair[1] == currency), Sum())
        calls = sum(one.calls for _, one in sold)
        found.append(
            Money(
                currency, calls, sum((one.sell for _, one in sold), Decimal(0)), sum((one.buy for one in bought), Decimal(0)),
                whole.sell - whole.buy, calls - whole.calls,
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (-one.calls, one.currency)))


def total(traffic: Traffic, from_ms: int, to_ms: int) -> tuple[int, tuple[Money, ...]]:
    """Records and money of the seconds from `from_ms` to before `to_ms`."""
    sums: dict[Pair, Sum] = {}
    for (at, pair), one in traffic.money.items():
        if from_ms <= at < to_ms:
            sums[pair] = sums.get(pair, Sum()) + one
    return sum(n for at, n in traffic.records.items() if from_ms <= at < to_ms), by_currency(sums)


def now(traffic: Traffic) -> Now:
    """The mean of the last ten complete seconds. While `store` is behind, of the last stored ones; without traffic it is 0.

    >>> traffic = Traffic(0, 20_000, {at: 7 for at in range(0, 19_000, 1000)})
    >>> now(traffic).records_s, now(traffic).to_ms
    (Decimal('7'), 18000)
    """
    newest = traffic.newest_ms
    floor = second_of(traffic.asked_ms - FLUSH_MS)
    to_ms = floor if newest is None else max(newest, floor)
    records, money = total(traffic, to_ms - NOW_MS, to_ms)
    seconds = NOW_MS // 1000
    return Now(Decimal(records) / seconds, tuple(one.by(seconds) for one in money), to_ms - NOW_MS, to_ms)
