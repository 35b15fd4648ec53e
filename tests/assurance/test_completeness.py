"""Every offset is in a stored row or it is named: stretches of offsets, held against plain sets."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assurance.completeness import Coverage, Stored, Stretch, merged, missing_rows, overlaps

stretch = st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
stretches = st.lists(stretch, max_size=6)


def offsets(found: Iterable[Stretch]) -> set[int]:
    return {offset for first, last in found for offset in range(first, last + 1)}


def stored_of(rows: set[int]) -> Stored:
    """What the warehouse reports of a partition with these rows."""
    if not rows:
        return Stored()
    absent = merged((offset, offset) for offset in range(min(rows), max(rows)) if offset not in rows)
    return Stored(min(rows), max(rows), len(rows), 0, tuple(absent))


@given(st.sets(st.integers(0, 20)), st.integers(0, 5), st.integers(0, 25))
def test_what_has_no_row_is_the_rest_of_the_partition(rows, first_held, end):
    end = max(end, max(rows, default=-1) + 1)
    begin = min(first_held, min(rows, default=0))
    found = list(missing_rows(stored_of(rows), first_held, end))
    assert offsets(found) == set(range(begin, end)) - rows
    assert sum(last - first + 1 for first, last in found) == len(offsets(found)), "each offset once"


@given(stretches, stretch)
def test_overlaps_are_the_offsets_that_both_have(known, one):
    found = overlaps(known, *one)
    assert offsets(found) == offsets(known) & offsets([one])
    assert found == sorted(set(found)) and all(first <= last for first, last in found)


@given(stretches)
def test_joined_stretches_are_the_same_offsets_in_the_fewest_stretches(known):
    found = merged(known)
    assert offsets(found) == offsets(known)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(found)), "they neither meet nor touch"


@pytest.mark.parametrize(
    ("stored", "first_held", "end", "found"),
    [
        (Stored(), 0, 0, []),
        (Stored(), 0, 1, [(0, 0)]),
        (Stored(), 7, 9, [(0, 8)]),  # nothing is stored: also what the journal no longer holds
        (Stored(5, 9, 5), 5, 10, []),
        (Stored(5, 9, 5), 4, 11, [(4, 4), (10, 10)]),
        (Stored(5, 9, 4, 0, ((7, 7),)), 9, 10, [(7, 7)]),
    ],
)
def test_the_edges_of_a_partition(stored, first_held, end, found):
    assert list(missing_rows(stored, first_held, end)) == found


def test_a_partition_without_gaps_lists_none():
    assert Coverage(0, 0, 5, 4, 1, [], 0).gaps == []
