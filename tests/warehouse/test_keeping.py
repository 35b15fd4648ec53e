"""What the warehouse says that it holds, and a clock that stands wrong drops nothing."""

from __future__ import annotations

import pytest

from warehouse import apply_retention, held, insert, keep_days, kept_days, set_days


@pytest.mark.parametrize("ahead_days", [1, 8, 60, 500, 20_000])
def test_a_clock_that_stands_ahead_drops_nothing_that_is_not_over(client, rows, ahead_days):
    days = [rows.NOON - n * rows.DAY_MS for n in range(5)]
    insert(client, "records", rows.records(*(rows.record(n, learned_ms=day) for n, day in enumerate(days))))
    keep_days(client, "records", 7, "ann", "a test")
    assert apply_retention(client, rows.NOON + ahead_days * rows.DAY_MS) == []
    assert apply_retention(client, 0) == []


def test_what_is_held_is_said(client, rows):
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
