"""The traffic of a subject beside its normal."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services import subjects
from services.subjects import DAY_MS, HOUR_MS, MINUTE_MS, Step, Traffic

NOON = 1_764_072_000_000
"""2025-11-25 12:00:00 UTC."""
NOW = NOON + 20 * MINUTE_MS


def steps(*rows: str, step_ms: int) -> dict[int, Step]:
    """Steps written as `steps-from-noon calls sold`, in EUR."""
    found = {}
    for row in rows:
        at, calls, sold = row.split()
        at_ms = NOON + int(at) * step_ms
        found[at_ms] = Step(at_ms, int(calls), int(calls), int(calls) * 60_000, (("EUR", Decimal(sold), Decimal(0)),))
    return found


def today(*rows: str) -> Traffic:
    known = steps(*rows, step_ms=HOUR_MS)
    start_ms = subjects.day_of(NOW)
    return Traffic(HOUR_MS, tuple(known.get(at, Step(at)) for at in range(start_ms, start_ms + DAY_MS, HOUR_MS)), (), 0, ("EUR",))


def hour(*rows: str) -> Traffic:
    known = steps(*rows, step_ms=MINUTE_MS)
    end_ms = NOW + MINUTE_MS
    return Traffic(MINUTE_MS, tuple(known.get(at, Step(at)) for at in range(end_ms - HOUR_MS, end_ms, MINUTE_MS)), (), 0, ("EUR",))


def test_the_normal_of_an_hour_is_the_mean_of_the_same_hour_of_the_days_before():
    past = steps("-24 10 4.00", "-48 20 8.00", "-25 7 1.00", step_ms=HOUR_MS)  # 12:00 yesterday and the day before, 11:00 yesterday
    found = subjects.beside_hours(today("0 60 24.00"), past)
    normal = {round((one.at_ms - NOON) / HOUR_MS): (one.calls, one.sold("EUR")) for one in found.normal if one.calls}
    assert (found.past_days, normal) == (2, {0: (15, Decimal(6)), -1: (4, Decimal("0.5"))})
    assert found.now == today("0 60 24.00").now


def test_the_normal_of_a_minute_is_the_mean_since_the_first_call_of_the_past():
    before_ms = subjects.hour_of(NOW)
    assert before_ms == NOON - HOUR_MS
    past = steps("-3 100 50.00", "-2 20 10.00", step_ms=HOUR_MS)  # 09:00 and 10:00; the past ends at 11:00
    found = subjects.beside_mean(hour("3 5 2.00"), past, before_ms)
    assert {(one.calls, one.sold("EUR")) for one in found.normal} == {(1, Decimal("0.5"))}  # 120 calls and 60 EUR in 120 minutes
    assert (len(found.normal), found.past_days) == (60, 2 / 24)


@pytest.mark.parametrize("beside", [lambda one: subjects.beside_hours(one, {}), lambda one: subjects.beside_mean(one, {}, subjects.hour_of(NOW))])
def test_without_a_past_nothing_is_said_of_the_normal(beside):
    found = beside(today("0 1 1.00"))
    assert (found.normal, found.past_days, found.currencies) == ((), 0, ("EUR",))


@pytest.mark.parametrize("minute", [0, 1, 20, 58, 59])
def test_the_past_of_an_hour_ends_before_it_begins_and_at_a_full_hour(minute):
    now_ms = NOON + minute * MINUTE_MS + 30_000
    first_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS - HOUR_MS
    before_ms = subjects.hour_of(now_ms)
    assert before_ms % HOUR_MS == 0 and first_ms - HOUR_MS < before_ms <= first_ms


def test_a_currency_of_the_past_alone_is_known():
    found = subjects.beside_hours(Traffic(HOUR_MS, today().now, (), 0, ()), steps("-24 1 1.00", step_ms=HOUR_MS))
    assert found.currencies == ("EUR",)
