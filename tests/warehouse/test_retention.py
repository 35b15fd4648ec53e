"""Retention drops whole days, and only expired ones, whatever the clock shows."""

from __future__ import annotations

import pytest

from warehouse import WarehouseError, apply_retention, ask, held, insert, keep_days, kept_days, queries, set_days


def test_old_days_are_dropped_and_money_stays(client, rows):
    days = [rows.NOON - n * rows.DAY_MS for n in range(5)]
    insert(client, "records", rows.records(*(rows.record(n, learned_ms=day) for n, day in enumerate(days))))
    rows.sell(client, *(rows.call(n, 1, learned_ms=day) for n, day in enumerate(days)))
    keep_days(client, "records", 2, who="someone", why="a small disk", now_ms=1)
    assert apply_retention(client, rows.NOON) == [("records", "20251121"), ("records", "20251122"), ("records", "20251123")]
    assert ask(client, queries.totals())[0]["received"] == 2
    assert client.query("SELECT count() FROM priced_calls").first_row == (5,), "0 days = for ever"
    assert apply_retention(client, rows.NOON) == []


def test_the_last_setting_is_in_force(client):
    keep_days(client, "records", 7, who="a", why="", now_ms=10)
    keep_days(client, "records", 30, who="b", why="", now_ms=20)
    assert kept_days(client) == {"attempts": 400, "calls": 0, "charges": 0, "records": 30}
    with pytest.raises(WarehouseError, match="no table"):
        keep_days(client, "migrations", 1, who="a", why="")
    with pytest.raises(WarehouseError, match="0"):
        keep_days(client, "records", -1, who="a", why="")


@pytest.mark.parametrize("ahead_days", [1, 8, 60, 500, 20_000])
def test_a_clock_that_stands_ahead_drops_nothing_that_is_not_over(client, rows, ahead_days):
    days = [rows.NOON - n * rows.DAY_MS for n in range(5)]
    insert(client, "records", rows.records(*(rows.record(n, learned_ms=day) for n, day in enumerate(days))))
    keep_days(client, "records", 7, "ann", "a test")
    assert apply_retention(client, rows.NOON + ahead_days * rows.DAY_MS) == []
    assert apply_retention(client, 0) == []


def test_the_content_of_each_table_is_listed(client, rows):
    assert [(one.table, one.rows, one.oldest, one.days) for one in held(client)] == [
        ("records", 0, "", 400), ("calls", 0, "", 0), ("attempts", 0, "", 400), ("charges", 0, "", 0),
    ]
    insert(client, "records", rows.records(rows.record(1), rows.record(2, learned_ms=rows.NOON - 3 * rows.DAY_MS)))
    records, calls, *_ = held(client)
    assert (records.rows, records.oldest, records.newest, calls.rows) == (2, "20251122", "20251125", 0) and records.size_bytes > 0


def test_days_are_set_where_they_are_news(client):
    assert set_days(client, {"records": 400, "calls": 0, "attempts": 400, "charges": 0}, "settings", "") == []
    assert set_days(client, {"attempts": 400, "calls": 0, "charges": 0, "records": 30}, "settings", "") == ["records"]
    assert kept_days(client) == {"attempts": 400, "calls": 0, "charges": 0, "records": 30}
