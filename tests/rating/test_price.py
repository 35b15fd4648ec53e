"""What a call costs, to the last digit."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import to_text
from rating.deck import Call, Calls
from rating.decks import COLUMNS, DeckError, read_deck
from rating.price import NO_RATE, OUT_OF_RANGE, price_all, price_one

DECK = read_deck(
    b"""prefix,destination,price_per_min,connect_fee,attempt_fee,first_s,next_s,effective_from,effective_to
43,Austria,0.02,0,0.0005,1,1,,
436,Austria mobile,0.06,0.01,0,60,60,,
4366,Austria mobile A,0.05,0,0,30,6,,2026-03-01
4366,Austria mobile A,0.055,0,0,30,6,2026-03-01,
1,USA,0.0123,0,0,6,6,,
6281,Indonesia mobile,15000,0,0,1,1,,
""",
    "basic",
    "EUR",
)
MARCH_MS = 1_772_323_200_000  # 2026-03-01T00:00Z


@pytest.mark.parametrize(
    ("b_number", "talk_ms", "at_ms", "charged_s", "price"),
    [
        # to the second, half up: five seconds of ringing are nobody's business here
        ("431234567", 2004, MARCH_MS, 2, "0.000666667"),
        ("431234567", 60_000, MARCH_MS, 60, "0.02"),
        ("431234567", 1, MARCH_MS, 1, "0.000333333"),
        ("431234567", 0, MARCH_MS, 1, "0.000333333"),  # answered: a second at least
        ("436991234567", 0, MARCH_MS, 60, "0.07"),
        # the longest prefix, its connect fee and whole minutes
        ("436991234567", 1000, MARCH_MS, 60, "0.07"),
        ("436991234567", 60_499, MARCH_MS, 60, "0.07"),
        ("436991234567", 60_500, MARCH_MS, 120, "0.13"),
        # 30/6, before and after the price changed at midnight
        ("436612345678", 31_000, MARCH_MS - 1, 36, "0.03"),
        ("436612345678", 31_000, MARCH_MS, 36, "0.033"),
        ("12025550123", 61_000, MARCH_MS, 66, "0.01353"),
        # 15,000 IDR a minute for three hours: a product of price and milliseconds would wrap in 64 bits
        ("6281234567890", 10_800_000, MARCH_MS, 10_800, "2700000"),
    ],
)
def test_price_of_a_call(b_number, talk_ms, at_ms, charged_s, price):
    one = price_one(DECK, Call(b_number), at_ms, talk_ms, True)
    assert (one.charged_s, to_text(one.nanos)) == (charged_s, price)


def test_an_unanswered_call_costs_its_attempt_alone():
    one = price_one(DECK, Call("431234567"), MARCH_MS, 30_000, False)
    assert (one.charged_s, one.nanos, to_text(one.attempt_nanos)) == (0, 0, "0.0005")


ALLOWANCES = read_deck(
    b"""prefix,price_per_min,first_s,next_s,connect_fee,surcharge,surcharge_after_s,free_s,grace_s,min_s,min_amount,max_amount
43,0.06,1,1,0.01,0,0,10,0,0,,
44,0.06,1,1,0.01,0,0,0,3,0,,
45,0.06,60,60,0.01,0,0,0,3,20,,
46,0.06,1,1,0,0,0,0,3,0,0.005,0.02
47,0.06,1,1,0,0.5,60,0,0,0,,
""",
    "allowances",
    "EUR",
)


@pytest.mark.parametrize(
    ("b_number", "talk_s", "charged_s", "price"),
    [
        # ten seconds are free: they are deducted, and the connect fee is owed all the same
        ("431234567", 9, 0, "0.01"), ("431234567", 10, 0, "0.01"), ("431234567", 11, 1, "0.011"), ("431234567", 70, 60, "0.07"),
        # calls of up to three seconds cost nothing at all; longer ones are charged from their first second
        ("441234567", 3, 0, "0"), ("441234567", 4, 4, "0.014"),
        # a shortest charged time beats the grace
        ("451234567", 1, 60, "0.07"), ("451234567", 61, 120, "0.13"),
        # the least and the most of a call; a call within the grace owes no least amount
        ("461234567", 3, 0, "0"), ("461234567", 4, 4, "0.005"), ("461234567", 6, 6, "0.006"), ("461234567", 3600, 3600, "0.02"),
        # a surcharge on calls of more than a minute
        ("471234567", 60, 60, "0.06"), ("471234567", 61, 61, "0.561"),
    ],
)  # fmt: skip
def test_free_seconds_grace_shortest_time_and_least_amount(b_number, talk_s, charged_s, price):
    one = price_one(ALLOWANCES, Call(b_number), MARCH_MS, 1000 * talk_s, True)
    assert (one.charged_s, to_text(one.nanos)) == (charged_s, price)
    found, _ = price_all(ALLOWANCES, Calls([b_number]), np.asarray([MARCH_MS]), np.asarray([1000 * talk_s]), np.asarray([True]))
    assert one[:7] == tuple(int(column[0]) for column in found)



def test_no_prefix_no_price_and_too_much_is_said():
    assert price_one(DECK, Call("998901234567"), MARCH_MS, 1000, True).rate == NO_RATE
    dear = read_deck(b"prefix,price_per_min,first_s\n1,153000000,3600", "dear", "EUR")
    assert price_one(dear, Call("1202"), MARCH_MS, 7 * 24 * 3_600_000, True).rate == OUT_OF_RANGE


numbers = st.one_of(st.sampled_from(["43", "436", "4366", "1", "6281", ""]), st.text("0123456789", max_size=15)).flatmap(
    lambda head: st.text("0123456789", max_size=6).map(lambda tail: (head + tail)[:15])
)


@given(
    st.lists(st.tuples(numbers, st.just(0) | st.integers(0, 4 * 10**7), st.integers(MARCH_MS - 10**9, MARCH_MS + 10**9), st.booleans()), max_size=30)
)
@settings(max_examples=150, deadline=None)
def test_the_columns_and_the_scalar_twin_agree_digit_by_digit(calls):
    b_numbers, talk_ms, at_ms, answered = ([c[i] for c in calls] for i in range(4))
    found, _ = price_all(DECK, Calls(b_numbers), np.asarray(at_ms, np.int64), np.asarray(talk_ms, np.int64), np.asarray(answered, bool))
    for i, call in enumerate(calls):
        assert price_one(DECK, Call(call[0]), call[2], call[1], call[3])[:7] == tuple(int(column[i]) for column in found)


@given(st.integers(0, 10**17), st.integers(0, 10**16), st.integers(1, 3600), st.integers(1, 3600), st.integers(0, 10**7))
@settings(max_examples=200, deadline=None)
def test_the_price_is_the_decimal_model_s(per_min_nanos, connect_nanos, first_s, next_s, talk_ms):
    text = ",".join(["44", "", to_text(per_min_nanos), to_text(connect_nanos), "0", str(first_s), str(next_s), "", ""])
    deck = read_deck(f"{','.join(COLUMNS)}\n{text}".encode(), "any", "EUR")
    seconds = max(int((Decimal(talk_ms) / 1000).quantize(Decimal(1), ROUND_HALF_UP)), 1)
    charged = 0
    while charged < seconds:
        charged += first_s if charged == 0 else next_s
    amount = (Decimal(per_min_nanos) * charged / 60).quantize(Decimal(1), ROUND_HALF_UP) + connect_nanos
    one = price_one(deck, Call("441"), 0, talk_ms, True)
    if one.rate == OUT_OF_RANGE:
        assert amount > 9.1e18
    else:
        assert (one.charged_s, one.nanos) == (charged, int(amount))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column prefix, price_per_min"),
        (b"prefix,price_per_min\n", "no rate in it"),
        (b"prefix,price_per_min,colour\n1,1,red", "unknown column colour"),
        (b"prefix,price_per_min\n4x,1", "line 2: prefix '4x' is not 1 to 15 digits"),
        (b"prefix,price_per_min\n1,1\n2,cheap", "line 3: 'cheap' is not a decimal amount"),
        (b"prefix,price_per_min\n1,0.0000000001", "line 2: '0.0000000001' has more than 9 decimals"),
        (b"prefix,price_per_min,next_s\n1,1,0", "line 2: increments"),
        (b"prefix,price_per_min\n1,-1", "line 2: a price is negative"),
        (b"prefix,price_per_min\n1,1\n1,2", "prefix 1 has two rates for the same time"),
        (b"prefix,price_per_min,effective_from,effective_to\n1,1,2026-02-01,2026-01-01", "effective_to is not after"),
        (b"prefix,price_per_min\n1,1\n\xff,1", "is not UTF-8"),
    ],
)
def test_a_broken_deck_names_its_line(content, said):
    with pytest.raises(DeckError, match="deck basic") as wrong:
        read_deck(content, "basic", "EUR")
    assert said in str(wrong.value)
