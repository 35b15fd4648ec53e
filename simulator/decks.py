"""Rate decks as carriers send them: CSV with a few thousand prefixes.

The decks do not depend on the seed: all worlds have the same ones, so that the parsed decks can be cached.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import NamedTuple

from rating.deck import Deck
from rating.decks import COLUMNS, read_deck
from simulator.destinations import Destination, table

CURRENCY = "EUR"
NEW_PRICES_FROM = "2026-03-09"
"""The day (UTC) from which some prefixes have another price: two rows, one ends where the other begins."""


class Offer(NamedTuple):
    """The terms of a deck: price = cost x `markup`, fees, and the increments of ordinary destinations."""

    markup: float
    connect_fee: str
    attempt_fee: str
    first_s: int
    next_s: int


OFFERS = {
    "sell-retail": Offer(2.3, "0.01", "", 60, 60),
    "sell-business": Offer(1.65, "", "", 1, 1),
    "sell-wholesale": Offer(1.16, "", "", 1, 1),
    "buy-alpha": Offer(1.0, "", "", 1, 1),
    "buy-bravo": Offer(1.06, "", "", 1, 1),
    "buy-charlie": Offer(0.97, "", "0.0004", 30, 6),
}
"""Deck name -> offer. Sell decks are above every buy deck on ordinary routes, with a few exceptions, as in practice."""

MINUTES_ONLY = frozenset({"MX", "CU", "SO", "GM", "TO"})
"""Countries sold by the whole minute in every deck."""


@lru_cache(maxsize=16)
def deck_csv(name: str) -> bytes:
    """The deck of an offer.

    >>> deck_csv("sell-business").splitlines()[0].decode() == ",".join(COLUMNS)
    True
    """
    offer, noise = OFFERS[name], Random(f"deck {name}")
    by_country: dict[str, float] = {}
    lines = [",".join(COLUMNS)]
    for one in table():
        # A carrier is expensive or cheap by country; single prefixes vary a little.
        whole = by_country.setdefault(one.region or one.prefix, noise.uniform(0.94, 1.07))
        price = one.cost * offer.markup * whole * noise.choice((1.0, 1.0, 1.0, 0.99, 1.02))
        lines += _rows(one, offer, price, noise)
    return ("\n".join(lines) + "\n").encode()


def _rows(one: Destination, offer: Offer, price: float, noise: Random) -> list[str]:
    first, following = offer.first_s, offer.next_s
    connect = offer.connect_fee
    if one.kind in ("premium", "satellite") or one.region in MINUTES_ONLY:
        first, following = 60, 60
        if one.kind == "premium":
            connect = "0.05"

    def row(price: float, start: str, end: str) -> str:
        fees = f"{price:.4f},{connect},{offer.attempt_fee},{first},{following}"
        name = f'"{one.name}"' if "," in one.name else one.name
        return f"{one.prefix},{name},{fees},{start},{end}"

    if noise.random() < 0.02:
        return [row(price, "", NEW_PRICES_FROM), row(price * noise.choice((0.9, 1.15)), NEW_PRICES_FROM, "")]
    return [row(price, "", "")]


@lru_cache(maxsize=16)
def deck(name: str) -> Deck:
    """The parsed deck."""
    return read_deck(deck_csv(name), name, CURRENCY)
