"""The longest prefix of a number, found by ranges of integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.prefixes import PLACES, build, encode, encode_all

digits = st.text("0123456789", max_size=PLACES)


def longest(prefixes: list[str], number: str) -> int:
    found = [(len(prefix), row) for row, prefix in enumerate(prefixes) if number.startswith(prefix)]
    return max(found)[1] if found else -1


@given(st.lists(st.text("012", min_size=1, max_size=6), unique=True, max_size=12), st.lists(st.text("012", max_size=9), max_size=20))
def test_it_is_what_looking_at_each_prefix_would_find(prefixes: list[str], numbers: list[str]):
    index = build(prefixes)
    expected = [longest(prefixes, number) for number in numbers]
    assert index.find(encode_all(numbers)).tolist() == expected
    assert [index.find_one(number) for number in numbers] == expected


@given(digits, digits)
def test_integers_sort_as_digits_do(one: str, other: str):
    assert (encode(one) < encode(other)) == (one < other)
    assert encode_all([one, other]).tolist() == [encode(one), encode(other)]


def test_a_number_longer_than_its_places_counts_by_its_beginning():
    number = "1" * (PLACES + 3)
    assert encode(number) == encode(number[:PLACES]) == encode_all([number])[0] < 2**63
    assert build(["1"]).find_one(number) == 0


@pytest.mark.parametrize(("prefixes", "number", "row"), [(["9"], "99999", 0), (["9" * PLACES], "9" * PLACES, 0), (["0"], "0", 0), ([], "43", -1)])
def test_the_ends_of_the_line(prefixes: list[str], number: str, row: int):
    assert build(prefixes).find_one(number) == row


@given(st.lists(st.tuples(st.text("012", max_size=4), st.integers(0, 3)), max_size=14), st.text("012", max_size=6))
def test_rows_follow_each_other_from_the_longest_prefix_and_the_smallest_rank(rows: list[tuple[str, int]], number: str):
    index = build([prefix for prefix, _ in rows], np.asarray([rank for _, rank in rows], np.int64))
    at, found = index.find_one(number), []
    while at >= 0:
        found.append(at)
        at = int(index.following[at])
    fitting = [row for row, (prefix, _) in enumerate(rows) if number.startswith(prefix)]
    assert found == sorted(fitting, key=lambda row: (-len(rows[row][0]), rows[row][1], row))
