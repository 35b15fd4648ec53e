"""What a first start puts into the books."""

from __future__ import annotations

import hashlib

import pytest

from rating.deck import Call
from rating.decks import read_deck
from rating.price import price_one
from services import first_start
from simulator.destinations import table

DECKS = {
    "buy-alpha": "7678a361e37ecc70c1a73db53e07601bcb7d325f1dc13608cebffc812310c6e2",
    "sell-business": "0cd15fe0a020d10290ff6bcdee53956fde6f3d4d981017a78f55fcd88a6999a3",
}
"""SHA-256 of the CSV. The decks follow from the metadata of `phonenumbers`: a new version of it may change them, for new homes only."""


@pytest.mark.parametrize("name", DECKS)
def test_the_first_decks_are_the_same_to_the_byte_on_every_machine(name: str):
    assert hashlib.sha256(first_start.starter("t1").decks[name]).hexdigest() == DECKS[name]


def test_every_destination_of_the_numbering_data_is_priced_by_both():
    start = first_start.starter("t1")
    buy, sell = (read_deck(start.decks[name], name, start.currency) for name in DECKS)
    for one in table():
        prices = [price_one(deck, Call(one.prefix.ljust(10, "7")), 1_772_438_400_000, 60_000, True) for deck in (buy, sell)]
        assert all(price.nanos > 0 for price in prices), one
