"""A few dear calls an hour to numbers that nobody was ever assigned, in a country where the account has a friend."""

from __future__ import annotations

import random

import pytest

from detectors.irsf_day import DETECTOR

SUMS = ("answers", "misses", "risk", "ranges", "money", "new", "week_ranges", "week_new")
STORED = {"account": {"t_ms": "int64", "week_ms": "int64", **dict.fromkeys(SUMS, "float64")}}
START_S = 4 * 86_400 + 3_600
HEADS = ("2528862", "2523503", "2612784", "3726109", "2528864", "2523505", "2612786", "3726107")
UNASSIGNED, MOBILE = tuple(head + "{:04d}" for head in HEADS), ("25261{:02d}50123",) * 8


@pytest.mark.parametrize(
    ("what", "numbers", "money", "answered_of_ten", "found"),
    [
        ("unassigned numbers", UNASSIGNED, 5.0, 10, True),
        ("as cheap as at home", UNASSIGNED, 0.05, 10, False),
        ("of which half do not answer", UNASSIGNED, 5.0, 5, False),
        ("mobiles of the friend's country", MOBILE, 5.0, 10, False),
    ],
)
def test_who_is_milked_in_a_country_that_it_knows(found_by, office, call, what, numbers, money, answered_of_ten, found):
    friend = [call(7_200 + no, "252615012345", 300, 1.0) for no in (0, 900)]
    milked = [
        call(START_S + no * 900, numbers[no % 8].format(no * 7 % 100), 400 if no * 3 % 10 < answered_of_ten else 0, money) for no in range(40)
    ]  # fmt: skip
    hits, _ = found_by(DETECTOR, [*friend, *office(4), *milked])
    assert any(hit.probability >= 0.8 for hit in hits) == found, what


def test_the_block_is_for_the_range_where_the_zone_is_the_accounts_own(found_by, office, call):
    friend = [call(7_200 + no, "252885012345", 300, 1.0) for no in (0, 900)]
    milked = [call(START_S + no * 900, UNASSIGNED[no % 8].format(no), 400, 5.0) for no in range(40)]
    hits, frame = found_by(DETECTOR, [*friend, *office(4), *milked])
    assert {(hit.subject_kind, frame["zone"][hit.row]) for hit in hits} >= {("account_range", "2528"), ("account_zone", "2612")}
    assert not any(hit.subject_kind == "account_zone" and frame["zone"][hit.row] == "2528" for hit in hits)


@pytest.mark.parametrize(("per_day", "found"), [(0, True), (8, False)], ids=["never before", "every day"])
def test_of_who_calls_such_numbers_every_day_many_are_expected(found_by, office, call, per_day, found):
    """Guests of a hotel call home, and the list of assigned numbers lacks those; on the sixth day more of them talk longer than ever."""
    chance = random.Random(1)
    calls = [
        call(day * 86_400 + 30_000 + no * 40_000 / n, f"{chance.choice(HEADS)[:5]}{chance.randrange(10**6):06d}",
             talk_s if chance.random() < answered else 0, money)
        for day in range(6)
        for n, talk_s, answered, money in [(per_day, 200, 0.6, 0.5) if day < 5 else (14, 900, 0.95, 25.0)]
        for no in range(n)
    ]  # fmt: skip
    hits, _ = found_by(DETECTOR, [*office(6, per_day=10), *calls], least_probability=0.5)
    assert bool(hits) == found
