"""Whole days go, and only those that are over."""

from __future__ import annotations

import pytest

from warehouse import WarehouseError, apply_retention, ask, insert, keep_days, kept_days, queries


def test_old_days_are_dropped_and_money_stays(client, rows):
    days = [rows.NOON - n * rows.DAY_MS for n in range(5)]
    insert(client, "records", rows.records(*(rows.record(n, learned_ms=day) for n, day in enumerate(days))))
    rows.sell(client, *(rows.call(n, 1, learned_ms=day) for n, day in enumerate(days)))
    keep_days(client, "records", 2, who="someone", why="a small disk", now_ms=1)
    assert apply_retention(client, rows.NOON) == [("records", "20251121"), ("records", "20251122"), ("records", "20251123")]
    assert ask(client, queries.totals())[0]["received"] == 2
    assert client.query("SELECT count() FROM priced_calls").first_row == (5,), "0 days = for ever"
    assert apply_retention(client, rows.NOON) == []


def test_the_last_word_is_in_force(client):
    keep_days(client, "records", 7, who="a", why="", now_ms=10)
    keep_days(client, "records", 30, who="b", why="", now_ms=20)
    assert kept_days(client) == {"attempts": 400, "calls": 0, "charges": 0, "records": 30}
    with pytest.raises(WarehouseError, match="no table"):
        keep_days(client, "migrations", 1, who="a", why="")
    with pytest.raises(WarehouseError, match="0"):
        keep_days(client, "records", -1, who="a", why="")
