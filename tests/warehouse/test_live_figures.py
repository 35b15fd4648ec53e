"""What the page asks every two seconds: each record once, a correction is no new sale, and only the minutes that are asked for."""

from __future__ import annotations

from decimal import Decimal

import pytest

from warehouse import ask, insert, queries


def test_a_record_that_is_stored_twice_is_one_a_second(client, rows):
    batch = rows.records(rows.record(1), rows.record(2), rows.record(1_500))
    for _ in range(2):
        insert(client, "records", batch)
    found = ask(client, queries.records_per_second(rows.NOON))
    assert [(row["second_ms"] - rows.NOON, row["records"]) for row in found] == [(0, 2), (1_000, 1)]
    assert ask(client, queries.records_per_second(rows.NOON + 1_501)) == []


def test_money_per_second_is_exact_and_counts_a_call_once(client, rows):
    first = (rows.call(1, 3_000_000_001), rows.call(2, 1, buy_currency="USD"))
    correction = (rows.call(1, 9_000_000_000, revision=2, learned_ms=rows.NOON + 5_000),)
    for batch in (first, correction, first):
        rows.sell(client, *batch)
    found = ask(client, queries.money_per_second(rows.NOON))
    assert [(row["second_ms"] - rows.NOON, row["buy_currency"], row["calls"], row["sell"], row["buy"]) for row in found] == [
        (0, "EUR", 1, Decimal("3.000000001"), Decimal("1.500000000")),
        (0, "USD", 1, Decimal("0.000000001"), Decimal(0)),
    ]


def test_how_far_each_partition_is_stored(client, rows):
    insert(client, "records", rows.records(rows.record(1), rows.record(7), rows.record(5_000, partition=1)))
    assert [tuple(row.values()) for row in ask(client, queries.stored_to(0, range(4)))] == [(0, 7, rows.NOON + 7), (1, 5_000, rows.NOON + 5_000)]
    assert [row["partition"] for row in ask(client, queries.stored_to(rows.NOON + 100, range(4)))] == [1]
    assert [row["partition"] for row in ask(client, queries.stored_to(0, [0, 3]))] == [0]


def test_days_add_up_to_the_totals_and_only_a_day_that_got_rows_has_another_mark(client, rows):
    yesterday = rows.NOON - rows.DAY_MS
    insert(client, "records", rows.records(rows.record(1, "rated", learned_ms=yesterday), rows.record(2, "reject", learned_ms=yesterday)))
    insert(client, "records", rows.records(rows.record(3, "rated"), rows.record(4, "event", tenant="t2")))
    before = {row["day"]: row["mark"] for row in ask(client, queries.days())}
    assert list(before) == ["20251125", "20251124"], "newest first"
    client.command("OPTIMIZE TABLE records FINAL")
    assert {row["day"]: row["mark"] for row in ask(client, queries.days())} == before, "a merge is no change"
    insert(client, "records", rows.records(rows.record(3, "rated")))  # a replay
    insert(client, "records", rows.records({**rows.record(2, "rated", learned_ms=yesterday), "revision": 2}))  # a mended reject
    after = {row["day"]: row["mark"] for row in ask(client, queries.days())}
    assert after["20251125"] > before["20251125"] and after["20251124"] > before["20251124"]
    counted = [tuple(row.values()) for day in after for row in ask(client, queries.dispositions_of_day(day))]
    assert counted == [("t1", "rated", 1), ("t2", "event", 1), ("t1", "rated", 2)]
    assert sum(n for _, _, n in counted) == ask(client, queries.totals())[0]["received"]


@pytest.mark.parametrize("query", [queries.records_per_second, queries.money_per_second])
def test_only_the_days_that_are_asked_for_are_opened(client, rows, query):
    for day in range(5):
        at_ms = rows.NOON - day * rows.DAY_MS
        insert(client, "records", rows.records(*(rows.record(day * 10 + n, learned_ms=at_ms) for n in range(10))))
        rows.sell(client, *(rows.call(day * 10 + n, 1, learned_ms=at_ms) for n in range(10)))
    sql, params = query(rows.NOON - 60_000)
    plan = "\n".join(row[0] for row in client.query(f"EXPLAIN indexes = 1 {sql}", parameters=params).result_rows)
    assert "Parts: 1/5" in plan, plan
