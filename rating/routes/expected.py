"""The money that a call is expected to bring or cost: its price at each observed duration, and the fees of the attempts that fail.

It is a sum over the answered calls of a profile, in whole nanos, never divided: sums over the same calls compare exactly. Prices are net of
tax, with their increments and fees, in one currency; a change of the price within the call is left out, what counts is the row in force now.

    sum = sum(calls * price(duration)) + failed attempts * price of a failed attempt
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from core.config import Find
from rating.deck import FOREVER_MS, Call, Calls, Deck
from rating.prefixes import Ints, encode_all
from rating.price import Offer, price_all, price_one
from rating.routes.durations import Profile
from rating.rules import Rules
from rating.tariff import Tariff
from rating.window import day_of

MAX_SUM_NANOS = 2**62
"""Of a profile: more is out of range, and the candidate is dropped."""


def expected_one(offer: Offer, call: Call, at_ms: int, profile: Profile, failed: int) -> int | None:
    """The expected money of a number; None = the deck has no price for it, or allows no call there.

    >>> from rating.decks import read_deck
    >>> from rating.routes.durations import Profile
    >>> deck = read_deck(b"prefix,price_per_min,attempt_fee,first_s,next_s\\n43,0.06,0.001,60,60", "d", "EUR")
    >>> expected_one(Offer(deck), Call("431"), 0, Profile(((61_000, 2),), 0), 3)
    245000000
    """
    total = 0
    for talk_ms, calls in (*profile.talk_ms, (0, failed)):
        one = price_one(offer.deck, call, at_ms, talk_ms, talk_ms > 0, offer.rules)
        if one.rate < 0:
            return None
        total += calls * (one.nanos + one.attempt_nanos)
    return total if abs(total) <= MAX_SUM_NANOS else None


class Sums(NamedTuple):
    """Of many rows of a deck: the money of the answered calls of a profile, and of one failed attempt. `NO_SUM` = no price."""

    answered: Ints
    attempt: Ints

    def with_failed(self, failed: Ints) -> Ints:
        """As `expected_one`: with so many failed attempts each."""
        fees = np.abs(self.attempt).astype(np.float64) * failed
        total = self.answered + np.where(fees < MAX_SUM_NANOS, self.attempt * failed, 0)
        out = (self.answered == NO_SUM) | (fees >= MAX_SUM_NANOS) | (np.abs(total) > MAX_SUM_NANOS)
        return np.where(out, NO_SUM, total)


def sums_of(offer: Offer, rows: Ints, profiles: Sequence[Profile], which: Ints) -> Sums:
    """The expected money of many rows of a deck (-1 = none); `which` profile counts for each.

    Each pair of a tariff and a profile is priced once, by the columns of `rating.price`.
    """
    deck = offer.deck
    found = Sums(np.full(len(rows), NO_SUM, np.int64), np.zeros(len(rows), np.int64))
    at = np.flatnonzero(rows >= 0)
    if not len(at):
        return found
    keys, inverse = np.unique(deck.tariff[rows[at]] * len(profiles) + which[at], return_inverse=True)
    tariffs, places = np.divmod(keys, len(profiles))
    each = [np.asarray([*profile.talk_ms, (0, 0)], np.int64) for profile in profiles]
    pair = np.repeat(np.arange(len(keys)), [len(each[place]) for place in places.tolist()])
    talk_ms, calls = np.concatenate([each[place] for place in places.tolist()]).T
    numbers = Coded(np.repeat(encode_all(_numbers(len(keys))), np.bincount(pair)))
    priced, _ = price_all(_deck_of(deck, tariffs.tolist()), numbers, np.zeros(len(pair), np.int64), talk_ms, talk_ms > 0, offer.rules)
    amounts = priced.nanos + priced.attempt_nanos
    attempt = amounts[talk_ms == 0]
    bound = np.bincount(pair, weights=np.abs(amounts).astype(np.float64) * calls)
    answered = np.zeros(len(keys), np.int64)
    np.add.at(answered, pair, amounts * np.where(bound[pair] < MAX_SUM_NANOS * 0.9, calls, 0))
    for one in np.flatnonzero(bound >= MAX_SUM_NANOS * 0.9).tolist():  # beyond 64 bits: Python's integers, which have no end
        mine = pair == one
        whole = sum(a * n for a, n in zip(amounts[mine].tolist(), calls[mine].tolist(), strict=True))
        answered[one] = whole if abs(whole) <= MAX_SUM_NANOS else NO_SUM
    answered[pair[priced.rate < 0]] = NO_SUM
    found.answered[at], found.attempt[at] = answered[inverse], attempt[inverse]
    return found


class Coded(Calls):
    """Numbers that are known as integers alone (`rating.prefixes.encode_all`), each taken to have so many digits."""

    def __init__(self, codes: Ints, digits: int = 10) -> None:
        super().__init__(_Blank(len(codes)), _Blank(len(codes)), _Blank(len(codes)))
        self.__dict__["codes"] = codes
        self.__dict__["by_lrn"] = self
        self.__dict__["digits"] = np.full(len(codes), digits, np.int64)


class _Blank(Sequence[str]):
    """So many empty texts."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, at: Any) -> Any:
        return ""


NO_SUM = -(2**63)
"""In columns: no price, or one out of range."""


def _numbers(n: int) -> tuple[str, ...]:
    return tuple(f"1{at:09}" for at in range(n))


def _deck_of(deck: Deck, tariffs: Sequence[int]) -> Deck:
    """A deck whose n-th row has the n-th of some tariffs, for the n-th of `_numbers`."""
    n = len(tariffs)
    own: tuple[Tariff, ...] = tuple(deck.tariffs[place] for place in tariffs)
    from_ms, to_ms = np.full(n, -FOREVER_MS, np.int64), np.full(n, FOREVER_MS, np.int64)
    return Deck("", "", deck.currency, _numbers(n), ("",) * n, own, np.arange(n, dtype=np.int64), from_ms, to_ms)


def net(offer: Offer) -> Offer:
    """An offer without tax, by which the row in force at the call's start prices all of it."""
    return Offer(offer.deck, replace(offer.rules, tax_ppm=0, change="call_start"))


def in_currency(offer: Offer, currency: str, tenant: str, at_ms: int, find: Find) -> Offer | str:
    """The offer in another currency, by the rate of the day; or why it cannot be converted."""
    if not currency or offer.currency == currency:
        return offer
    ratio = _rate(find("fx_rates", tenant, f"{offer.currency}-{currency}"), at_ms)
    if ratio is None and (inverse := _rate(find("fx_rates", tenant, f"{currency}-{offer.currency}"), at_ms)) is not None:
        ratio = 1 / inverse
    if ratio is None:
        return f"no rate of exchange {offer.currency}-{currency} at this moment: add it to fx_rates"
    whole = ratio * Fraction(*offer.rules.fx)
    rules: Rules = replace(offer.rules, fx=(whole.numerator, whole.denominator), currency=currency, fx_source="of the day")
    return Offer(offer.deck, rules)


def _rate(row: object, at_ms: int) -> Fraction | None:
    rates: dict[str, str] = getattr(row, "rates", {})
    days = [day for day in rates if day_of(day) * 86_400_000 <= at_ms]
    return Fraction(Decimal(rates[max(days)])) if days else None
