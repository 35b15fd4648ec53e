"""The price of a call: exact integers, one rounding, twice spelled.

`price_all` prices columns; `price_one` is its scalar twin, kept for charging; a property test holds the two together digit by digit.

    billable = talk time to whole seconds (half up; an answered call has at least one, also where its talk time is 0), else 0
    charged  = first_s, then whole increments of next_s
    usage    = price_per_min * charged / 60 (half up at 1e-9, once)
    amount   = usage + connect_fee where anything is charged, + attempt_fee of every attempt
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.money import MAX_NANOS, divide_half_up
from rating.decks import Deck
from rating.prefixes import Ints

NO_RATE = -1
OUT_OF_RANGE = -2

ROUNDING = "half up at 1e-9"
"""Of `usage`, once; nothing else is rounded."""


class Priced(NamedTuple):
    """One place per call. `rate` is the place in the deck, or `NO_RATE` / `OUT_OF_RANGE` (then the amounts are 0 and mean nothing)."""

    rate: Ints
    charged_s: Ints
    per_min_nanos: Ints
    usage_nanos: Ints
    connect_nanos: Ints
    attempt_nanos: Ints

    @property
    def nanos(self) -> Ints:
        """What the talk costs: usage and connect fee."""
        return self.usage_nanos + self.connect_nanos


class PricedOne(NamedTuple):
    """As `Priced`, of one call."""

    rate: int
    charged_s: int
    per_min_nanos: int
    usage_nanos: int
    connect_nanos: int
    attempt_nanos: int

    @property
    def nanos(self) -> int:
        """What the talk costs: usage and connect fee."""
        return self.usage_nanos + self.connect_nanos


def price_all(deck: Deck, codes: Ints, at_ms: Ints, duration_ms: Ints, answered: npt.NDArray[np.bool_]) -> Priced:
    """Price calls to `codes` (`rating.prefixes.encode_all`) at `at_ms` by one deck. An unanswered call costs its attempt fee alone."""
    return price_by((deck,), np.zeros(len(codes), np.int64), codes, at_ms, duration_ms, answered)


def price_by(
    decks: tuple[Deck, ...], places: Ints, codes: Ints, at_ms: Ints, duration_ms: Ints, answered: npt.NDArray[np.bool_]
) -> Priced:
    """As `price_all`, each call by its own deck: `places` in `decks`, negative = by none."""
    rate = np.full(len(places), NO_RATE, np.int64)
    per_min, connect, attempt, first_s, next_s = np.ones((5, len(places)), np.int64)
    for place in np.unique(places).tolist():
        if place < 0:
            continue
        deck, here = decks[place], np.flatnonzero(places == place)
        found = find_rates(deck, codes[here], at_ms[here])
        rate[here] = found
        if len(deck.prefixes):
            at = np.maximum(found, 0)
            per_min[here], connect[here], attempt[here] = deck.per_min_nanos[at], deck.connect_nanos[at], deck.attempt_nanos[at]
            first_s[here], next_s[here] = deck.first_s[at], deck.next_s[at]
    found_any = rate >= 0
    charged = charged_seconds(duration_ms, answered & found_any, first_s, next_s)
    minutes, seconds = np.divmod(charged, 60)
    # In two products, so that no 128-bit number is needed: minutes * price is at most the usage, 59 * price is bounded by the deck.
    usage = per_min * minutes + (per_min * seconds + 30) // 60
    connect = np.where(charged > 0, connect, 0)
    estimate = per_min.astype(np.float64) * charged / 60 + connect + attempt
    rate = np.where(found_any & (estimate > MAX_NANOS * 0.999), OUT_OF_RANGE, rate)
    good = rate >= 0
    amounts = (np.where(good, column, 0) for column in (per_min, usage, connect, attempt))
    return Priced(rate, charged, *amounts)


def find_rates(deck: Deck, codes: Ints, at_ms: Ints) -> Ints:
    """The place in the deck of each call's rate, or `NO_RATE`."""
    if not len(deck.borders_ms):
        return deck.index_at(0).find(codes)
    rate = np.full(len(codes), NO_RATE, np.int64)
    epochs = deck.epochs(at_ms)
    for epoch in np.unique(epochs):
        here = np.flatnonzero(epochs == epoch)
        rate[here] = deck.index_at(int(epoch)).find(codes[here])
    return rate


def charged_seconds(duration_ms: Ints, answered: npt.NDArray[np.bool_], first_s: Ints, next_s: Ints) -> Ints:
    """Seconds charged for a talk time. A switch that counts whole seconds writes 0 for an answered call that was hung up at once.

    >>> import numpy as np
    >>> ms, answered = np.array([2004, 61_000, 1, 0, 0]), np.array([True, True, True, True, False])
    >>> charged_seconds(ms, answered, np.array([1, 60, 1, 60, 60]), np.array([1, 6, 1, 1, 1])).tolist()
    [2, 66, 1, 60, 0]
    """
    billable = np.where(answered, np.maximum((duration_ms + 500) // 1000, 1), 0)
    beyond = np.maximum(billable - first_s, 0)
    charged: Ints = np.where(billable > 0, first_s + -(-beyond // next_s) * next_s, 0)
    return charged


def price_one(deck: Deck, b_number: str, at_ms: int, duration_ms: int, answered: bool) -> PricedOne:
    """The scalar twin of `price_all`, in Python's unbounded integers.

    >>> from rating.decks import read_deck
    >>> deck = read_deck(b"prefix,price_per_min,connect_fee,attempt_fee,first_s,next_s\\n43,0.06,0.01,0.001,1,1", "d", "EUR")
    >>> one = price_one(deck, "431234", 0, 2004, True)
    >>> one.charged_s, one.usage_nanos, one.connect_nanos, one.attempt_nanos
    (2, 2000000, 10000000, 1000000)
    """
    rate = deck.index_at(int(deck.epochs(np.asarray([at_ms], np.int64))[0])).find_one(b_number)
    if rate < 0:
        return PricedOne(NO_RATE, 0, 0, 0, 0, 0)
    first, following = int(deck.first_s[rate]), int(deck.next_s[rate])
    per_min, attempt = int(deck.per_min_nanos[rate]), int(deck.attempt_nanos[rate])
    billable = max((duration_ms + 500) // 1000, 1) if answered else 0
    charged = first + -(-max(billable - first, 0) // following) * following if billable else 0
    usage, connect = divide_half_up(per_min * charged, 60), int(deck.connect_nanos[rate]) if charged else 0
    if float(per_min) * charged / 60 + connect + attempt > MAX_NANOS * 0.999:
        return PricedOne(OUT_OF_RANGE, charged, 0, 0, 0, 0)
    return PricedOne(rate, charged, per_min, usage, connect, attempt)
