"""The deck that an offer makes of the one before, against the plain meaning of it: which price a code has at a time."""

from __future__ import annotations

from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from rating.decks import FOREVER_MS, read_deck
from rating.offers.compare import compare
from rating.offers.mapping import Notice
from rating.offers.merge import base_of, merge
from rating.offers.rows import Rate

DAY_MS = 86_400_000
CODES = ("1", "44", "447", "4479", "49")
NOW = 100 * DAY_MS
times = st.integers(90, 120).map(lambda day: day * DAY_MS)


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Prices of one code: (from, until, nanos), none over another."""
    borders = sorted(draw(st.sets(times, max_size=3)))
    edges = [-FOREVER_MS, *borders, FOREVER_MS]
    kept = draw(st.lists(st.booleans(), min_size=len(edges) - 1, max_size=len(edges) - 1))
    price = st.integers(1, 5).map(lambda cents: cents * 10_000_000)
    return [(start, end, draw(price)) for start, end, keep in zip(edges, edges[1:], kept, strict=False) if keep]


decks = st.dictionaries(st.sampled_from(CODES), lives().filter(bool), min_size=1)


def csv_of(deck: dict[str, list[tuple[int, int, int]]]) -> bytes:
    rates = [Rate(1, code, code, nanos, 0, 0, 1, 1, start, end, False) for code, own in sorted(deck.items()) for start, end, nanos in own]
    return merge(None, rates, "closed", None, -FOREVER_MS).csv


def price_in(deck: dict[str, list[tuple[int, int, int]]], code: str, at_ms: int) -> int | None:
    return next((nanos for start, end, nanos in deck.get(code, ()) if start <= at_ms < end), None)


@given(old=decks, new=decks, missing=st.sampled_from(["closed", "unchanged"]), cut=st.none() | times)
@settings(max_examples=300, deadline=None)
def test_a_merged_deck_prices_each_code_as_the_offer_says_and_before_it_as_the_deck_before(
    old: dict[str, list[tuple[int, int, int]]],
    new: dict[str, list[tuple[int, int, int]]],
    missing: Literal["closed", "unchanged"],
    cut: int | None,
):
    rates = [Rate(1, code, code, nanos, 0, 0, 1, 1, start, end, False) for code, own in sorted(new.items()) for start, end, nanos in own]
    merged = merge(base_of(csv_of(old)), rates, missing, cut, NOW)
    if merged.csv.count(b"\n") == 1:
        return  # everything has ended
    deck = read_deck(merged.csv, "d", "EUR")
    for at_ms in (NOW, NOW + 1, *(day * DAY_MS for day in range(101, 125))):
        found = {
            prefix: int(nanos)
            for prefix, nanos, start, end in zip(deck.prefixes, deck.per_min_nanos, deck.from_ms, deck.to_ms, strict=True)
            if start <= at_ms < end
        }
        for code in CODES:
            begins = min((start for start, _, _ in new.get(code, ())), default=FOREVER_MS)
            ends = FOREVER_MS
            if code not in new and missing == "closed":
                ends = -FOREVER_MS if cut is None else cut
            # A code that has ended already is not missing: the offer need not name it.
            expected = price_in(new, code, at_ms) if at_ms >= begins else price_in(old, code, at_ms) if at_ms < ends else None
            assert found.get(code) == expected, (code, at_ms, merged.csv.decode())


@given(old=decks, new=decks)
@settings(max_examples=200, deadline=None)
def test_every_code_of_two_decks_changes_in_one_way(old: dict[str, list[tuple[int, int, int]]], new: dict[str, list[tuple[int, int, int]]]):
    one, two = (read_deck(csv_of(deck), "d", "EUR") for deck in (old, new))
    found = compare(one, two, NOW, NOW, Notice(), unchanged=True)
    settled = max([NOW, *(start for own in new.values() for start, _, _ in own if start > NOW)])

    def met(deck: dict[str, list[tuple[int, int, int]]], code: str, at_ms: int) -> int | None:
        prices = [price_in(deck, code[:length], at_ms) for length in range(len(code), 0, -1)]
        return next((price for price in prices if price is not None), None)

    for row in found.rows:
        own = price_in(old, row.prefix, NOW), price_in(new, row.prefix, settled)
        assert (row.old_nanos, row.new_nanos) == (met(old, row.prefix, NOW), met(new, row.prefix, settled))
        kinds = {(True, False): "closed", (False, True): "new"}
        expected = kinds.get((own[0] is not None, own[1] is not None))
        if expected is None:
            assert own[0] is not None and own[1] is not None
            expected = "increase" if own[1] > own[0] else "decrease" if own[1] < own[0] else "unchanged"
        assert row.kind == expected
    assert len({row.prefix for row in found.rows}) == len(found.rows) == sum(found.counts.values())


def test_columns_that_only_the_deck_before_has_stay_with_its_rows():
    base = base_of(b"prefix,price_per_min,min_digits\n44,0.02,11\n49,0.01,\n")
    rates = [Rate(1, "49", "Germany", 20_000_000, 0, 0, 1, 1, -FOREVER_MS, FOREVER_MS, False)]
    merged = merge(base, rates, "unchanged", None, NOW).csv.decode().splitlines()
    assert merged[0].endswith("effective_to,min_digits") and merged[1] == "44,,0.02,,,,,,,11" and merged[2] == "49,Germany,0.02,0,0,1,1,,,"
