"""Rates and sums of the last minutes are exact, even if records are stored late or in pieces."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from dashboards.charts import money_chart
from dashboards.points import money_points, records_points
from dashboards.theme import LIGHT
from dashboards.traffic import (
    RECENT_MS,
    WHOLE_EVERY_MS,
    WINDOW_MS,
    Sum,
    Traffic,
    TrafficQuery,
    by_currency,
    now,
    second_of,
    total,
)
from warehouse import Query

NOW = 1_795_000_000_000


class Store:
    """Answers like the warehouse."""

    def __init__(self) -> None:
        self.records: list[int] = []
        self.calls: list[tuple[int, str, str, Decimal, Decimal]] = []
        self.asked_from: list[int] = []

    def ask(self, query: Query) -> list[dict[str, Any]]:
        sql, params = query
        from_ms = params["since_ms"]
        if "FROM charges" not in sql:
            self.asked_from.append(from_ms)
            seconds: dict[int, int] = {}
            for at in self.records:
                if at >= from_ms:
                    seconds[second_of(at)] = seconds.get(second_of(at), 0) + 1
            return [{"second_ms": at, "records": n} for at, n in sorted(seconds.items())]
        sums: dict[tuple[int, str, str], Sum] = {}
        for at, sell_currency, buy_currency, sell, buy in self.calls:
            if at >= from_ms:
                key = (second_of(at), sell_currency, buy_currency)
                sums[key] = sums.get(key, Sum()) + Sum(1, sell, buy)
        return [
            {"second_ms": key[0], "sell_currency": key[1], "buy_currency": key[2], "calls": one.calls, "sell": one.sell, "buy": one.buy}
            for key, one in sums.items()
        ]


def test_incremental_queries_equal_one_query():
    rng, store = Random(1), Store()
    query = TrafficQuery(store, "")  # type: ignore[arg-type]
    for step in range(0, WINDOW_MS + 120_000, 2_000):
        for _ in range(rng.randint(0, 5)):
            late_ms = rng.choice((100, 1_500, 20_000))
            store.records.append(NOW + step - late_ms)
            store.calls.append((NOW + step - late_ms, rng.choice(("EUR", "USD")), "EUR", Decimal(rng.randint(1, 10**9)).scaleb(-9), Decimal(1)))
        traffic = query.ask(NOW + step)
        if step % 100_000 == 0:
            from_ms = traffic.from_ms
            assert sum(traffic.records.values()) == sum(at >= from_ms for at in store.records)
            assert sum(one.sell for one in traffic.money.values()) == sum(call[3] for call in store.calls if call[0] >= from_ms)


def test_the_whole_window_is_asked_once_a_minute_and_else_the_last_one():
    store = Store()
    query = TrafficQuery(store, "")  # type: ignore[arg-type]
    for step in range(0, WHOLE_EVERY_MS + 2_000, 2_000):
        query.ask(NOW + step)
    spans = [NOW + 2_000 * at - from_ms for at, from_ms in enumerate(store.asked_from)]
    assert spans[0] == spans[-1] == WINDOW_MS and set(spans[1:-1]) == {RECENT_MS}


def test_traffic_that_has_stopped_is_no_traffic():
    traffic = Traffic(0, 100_000, dict.fromkeys(range(0, 50_000, 1000), 7))
    assert now(traffic).records_s == 0


def test_currencies_are_never_added_and_there_is_no_margin_across_them():
    eur, usd = by_currency({("EUR", "EUR"): Sum(2, Decimal("0.000000003"), Decimal("0.000000001")), ("EUR", "USD"): Sum(1, Decimal(1), Decimal(2))})
    assert (eur.currency, eur.sell, eur.buy, eur.margin, eur.across) == ("EUR", Decimal("1.000000003"), Decimal("0.000000001"), Decimal("2E-9"), 1)
    assert (usd.currency, usd.sell, usd.buy, usd.margin, usd.across) == ("USD", Decimal(0), Decimal(2), Decimal(0), 0)


def test_a_total_takes_the_seconds_that_were_asked_for():
    traffic = Traffic(0, 10_000, {1_000: 1, 2_000: 2, 3_000: 4}, {(2_000, ("EUR", "EUR")): Sum(1, Decimal(5), Decimal(3))})
    assert total(traffic, 1_000, 3_000)[0] == 3 and total(traffic, 1_000, 3_000)[1][0].margin == 2
    assert total(traffic, 3_000, 4_000) == (4, ())


def test_charts_show_the_stored_sums():
    seconds = range(0, 597_000, 1000)
    money = {(at, ("EUR", "EUR")): Sum(1, Decimal(2), Decimal(1)) for at in seconds}
    traffic = Traffic(0, 600_000, dict.fromkeys(seconds, 3), money)
    assert {point["rate"] for point in records_points(traffic)} == {3.0}
    assert {(point["side"], point["rate"]) for point in money_points(traffic, "EUR")} == {("sold", 2.0), ("bought", 1.0), ("margin", 1.0)}
    assert {point["rate"] for point in money_points(traffic, "USD")} == {0.0}
    drawn = money_chart(traffic, "EUR", LIGHT)["datasets"]["points"]
    assert drawn.unique().sort("at", "side").rows()[0][1:] == ("bought", 1.0) and drawn["rate"].unique().sort().to_list() == [1.0, 2.0]
    sizes = {money_chart(Traffic(0, to_ms, dict.fromkeys(seconds, 3), money), "EUR", LIGHT)["datasets"]["points"].height
             for to_ms in (1_000, 200_000, 203_000, 600_000, 900_000)}  # fmt: skip
    assert len(sizes) == 1, "the number of rows is always the same"
