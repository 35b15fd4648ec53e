"""Prices of any deck and agreement: columns, the scalar twin and an obviously right model in exact fractions, digit for digit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from math import lcm
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from price_cases import ALWAYS, CLOCKS_GO_BACK_MS, DAY, HOLIDAY, NIGHT, WEEKEND, calls, deck_of, rows, rules

from core.config import Markup
from core.money import to_text
from rating.contracts import offer_of
from rating.deck import Call, Calls
from rating.decks import read_deck, to_csv
from rating.price import NO_RATE, OUT_OF_RANGE, REJECTED, by_row, price_all, price_one
from rating.rules import Rules

# --- the model: rows as dictionaries, time second by second, money in fractions --------------------------------------------------------


def in_force(window: str, at_ms: int, zone: str) -> bool:
    return in_force_at(window, at_ms // 60_000, zone)


@cache
def in_force_at(window: str, minute: int, zone: str) -> bool:
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)).astimezone(ZoneInfo(zone))
    clock = local.hour * 60 + local.minute
    return {
        NIGHT: clock >= 21 * 60 or clock < 5 * 60,
        DAY: local.isoweekday() <= 5 and 8 * 60 <= clock < 18 * 60,
        WEEKEND: local.isoweekday() > 5,
        ALWAYS: True,
        HOLIDAY: str(local.date()) == "2026-10-26",
    }[window]


BEGINS = {NIGHT: 21 * 60, DAY: 8 * 60, WEEKEND: 0, ALWAYS: 0, HOLIDAY: 0}


STATES = {"1202": "DC", "1212": "NY", "1315": "NY", "1201": "NJ"}


def jurisdiction_of(call: Call) -> str:
    if not call.b_number.startswith("1"):
        return "none"
    caller, called = STATES.get(call.a_number[:4]), STATES.get(call.b_number[:4])
    return "indeterminate" if not caller or not called else "intrastate" if caller == called else "interstate"


def row_of(rows: list[dict[str, Any]], call: Call, at_ms: int, zone: str) -> dict[str, Any] | None:
    fitting = [
        (
            len(row["prefix"]), len(row["origin"]), row["jurisdiction"] != "", row["min_digits"] > 0, row["weight"], BEGINS[row["window"]],
            row["from_ms"], -at, row,
        )
        for at, row in enumerate(rows)
        if call.b_number.startswith(row["prefix"]) and call.a_number.startswith(row["origin"]) and row["from_ms"] <= at_ms
        and row["jurisdiction"] in ("", jurisdiction_of(call)) and len(call.b_number) >= row["min_digits"] and in_force(row["window"], at_ms, zone)
    ]  # fmt: skip
    return max(fitting, key=lambda one: one[:-1])[-1] if fitting else None


def rounded(exact: Fraction, mode: str) -> int:
    whole, rest = divmod(exact, 1)
    up = {"up": rest > 0, "down": False, "half_up": rest >= Fraction(1, 2), "half_even": rest > Fraction(1, 2) or (rest * 2 == 1 and whole % 2)}
    return whole + up[mode]


def with_markup(row: dict[str, Any], markup: Markup) -> dict[str, Any]:
    """A row of the reseller's deck, as the party below pays it: each price, of whole minutes where an amount per minute is added, rounded once."""
    unit, share, per_minute = 10 ** (9 - markup.decimals), 1 + Fraction(markup.percent_nanos, 100 * 10**9), markup.per_minute_nanos

    def of(exact: Fraction) -> int:
        return rounded(exact / unit, markup.rounding) * unit

    steps = []
    for start, price, per, increment in row["steps"]:
        stated = per if per_minute * per % 60 == 0 else lcm(per, 60)
        steps.append((start, of(Fraction(price, per) * stated * share + Fraction(per_minute * stated, 60)), stated, increment))
    fees = {name: of(row[name] * share) for name in ("connect", "attempt", "surcharge", "min_nanos")}
    return row | fees | {"steps": steps, "max_nanos": None if row["max_nanos"] is None else of(row["max_nanos"] * share)}


def in_units(row: dict[str, Any], units: int) -> dict[str, Any]:
    """A row whose times are in units of which a second has so many; an increment of a second is one unit."""
    steps = [(start * units, price, per * units, increment * units if increment > 1 else 1) for start, price, per, increment in row["steps"]]
    return row | {"steps": steps} | {name: row[name] * units for name in ("surcharge_after_s", "free_s", "grace_s", "min_s")}


def model(rows: list[dict[str, Any]], rules: Rules, call: Call, at_ms: int, talk_ms: int, answered: bool) -> tuple[int, Fraction] | int:
    """Charged seconds, a begun one as well, and the amount with its attempt fee in nanos, rounded; or why there is none."""
    for markup in rules.markups:
        rows = [with_markup(row, markup) for row in rows]
    units = 1000 // rules.unit_ms
    rows = [in_units(row, units) for row in rows]
    known: dict[int, dict[str, Any] | None] = {}

    def row_at_ms(moment_ms: int) -> dict[str, Any] | None:  # every border of these decks is a whole minute
        minute = moment_ms // 60_000
        if minute not in known:
            known[minute] = row_of(rows, call, moment_ms, rules.time_zone)
        return known[minute]

    first = row_at_ms(at_ms)
    if first is None:
        return NO_RATE
    if first["reject"]:
        return REJECTED
    talk = Fraction(talk_ms, rules.unit_ms)
    billable = max(rounded(talk, rules.seconds), 1) if answered else 0
    free = not billable or (not first["min_s"] and billable <= first["grace_s"])
    left = 0 if free else max(max(billable, first["min_s"]) - first["free_s"], 0)
    at, usage, row = 0, Fraction(0), first
    while at < left:  # an increment at a time
        def row_at(second: int, row: dict[str, Any] = row) -> dict[str, Any]:
            later = row_at_ms(at_ms + rules.unit_ms * (first["free_s"] + second))
            return row if later is None or later["reject"] else later

        row = row_at(at) if rules.change != "call_start" else row
        steps = row["steps"]
        step = max(n for n, one in enumerate(steps) if one[0] <= at)
        for second in range(at, at + steps[step][3]):
            price, per = steps[step][1:3]
            if rules.change == "split":
                row = row_at(second, row)
                n = step if row["steps"] is steps else max(n for n, one in enumerate(row["steps"]) if one[0] <= second)
                price, per = row["steps"][n][1:3]
            usage += Fraction(price, per)
        at += steps[step][3]
    amount = usage
    if not free:
        amount += first["connect"] + (first["surcharge"] if billable > first["surcharge_after_s"] else 0)
        amount = max(amount, first["min_nanos"])
        amount = amount if first["max_nanos"] is None else min(amount, first["max_nanos"])
    exact = (amount + first["attempt"]) * Fraction(*rules.fx) * Fraction(1_000_000 + rules.tax_ppm, 1_000_000) / rules.unit_nanos
    return -(-at // units), rounded(exact, rules.rounding_mode) * rules.unit_nanos


def talk_ms(talk_s: int, rules: Rules) -> int:
    """Odd lengths, so that they are rounded; short ones where every unit of the model is a turn of a loop."""
    return 1000 * talk_s + 500 * (talk_s % 2) if rules.unit_ms == 1000 else 50 * talk_s


@given(rows, rules, calls)
@settings(max_examples=400, deadline=None)
def test_columns_scalar_and_model_agree_to_the_nano(rows, rules, calls):
    for row in rows:
        row["max_nanos"] = row["max_nanos"] and max(row["max_nanos"], row["min_nanos"])
    deck = offer_of(read_deck(deck_of(rows), "any", "EUR"), rules).deck
    at_ms = [CLOCKS_GO_BACK_MS + 1000 * second for _, _, second, _, _ in calls]
    found, segments = price_all(
        deck, Calls([b for b, *_ in calls], [a for _, a, *_ in calls]), np.asarray(at_ms, np.int64),
        np.asarray([talk_ms(talk, rules) for *_, talk, _ in calls], np.int64), np.asarray([answered for *_, answered in calls], bool), rules,
    )  # fmt: skip
    for i, (b_number, a_number, _, talk_s, answered) in enumerate(calls):
        call = Call(b_number, a_number)
        one = price_one(deck, call, at_ms[i], talk_ms(talk_s, rules), answered, rules)
        assert one[:7] == tuple(int(column[i]) for column in found)
        expected = model(rows, rules, call, at_ms[i], talk_ms(talk_s, rules), answered)
        if isinstance(expected, int):
            assert one.rate == expected
            continue
        if one.rate == OUT_OF_RANGE:
            assert expected[1] > 9.1e18
            continue
        assert (one.charged_s, one.nanos + one.attempt_nanos) == expected
        parts = by_row(deck, one, rules.unit_ms)
        assert (len(parts) > 1) == (i in segments) and sum(part.nanos for _, part in parts) == one.nanos
        assert sum(part.charged_s for _, part in parts) == one.charged_s


@given(rows)
@settings(max_examples=100, deadline=None)
def test_a_deck_that_is_written_and_read_again_is_the_same(rows):
    for row in rows:
        row["max_nanos"] = row["max_nanos"] and max(row["max_nanos"], row["min_nanos"])
    deck = read_deck(deck_of(rows), "any", "EUR")
    again = read_deck(to_csv(deck), "any", "EUR")
    assert (again.prefixes, again.from_ms.tolist(), again.tariff.tolist()) == (deck.prefixes, deck.from_ms.tolist(), deck.tariff.tolist())
    assert [again.tariffs[place] for place in again.tariff] == [deck.tariffs[place] for place in deck.tariff]
    if deck.condition is not None:
        assert again.condition is not None
        assert [again.conditions[place] for place in again.condition] == [deck.conditions[place] for place in deck.condition]


@given(st.integers(0, 10**12), st.integers(1, 9))
@settings(deadline=None)
@example(3_500_000, 9)
def test_no_price_drifts_with_the_length_of_the_call(price_nanos, minutes):
    """0.0035 a minute is 0.0035 for one minute and 0.035 for ten: the price of an increment is never rounded by itself."""
    deck = read_deck(f"prefix,price_per_min\n43,{to_text(price_nanos)}".encode(), "d", "EUR")
    assert price_one(deck, Call("431"), 0, 60_000 * minutes, True).nanos == price_nanos * minutes


@given(st.integers(1, 10_800_000), st.integers(0, 10**13))
@settings(deadline=None)
@example(10_800_000, 15_000 * 10**9)
def test_a_call_charged_by_the_millisecond_costs_its_share_of_a_minute(talk_ms, price_nanos):
    rules = Rules(unit_ms=1)
    deck = offer_of(read_deck(f"prefix,price_per_min\n43,{to_text(price_nanos)}".encode(), "d", "IDR"), rules).deck
    one = price_one(deck, Call("431"), 0, talk_ms, True, rules)
    columns, _ = price_all(deck, Calls(["431"]), np.zeros(1, np.int64), np.asarray([talk_ms]), np.ones(1, bool), rules)
    expected = rounded(Fraction(price_nanos * talk_ms, 60_000), "half_up")
    assert (one.nanos, int(columns.nanos[0]), one.charged_s) == (expected, expected, -(-talk_ms // 1000))
