"""Decks and numbers: realistic, readable, and the same for every seed."""

from __future__ import annotations

import hashlib
import re
from random import Random

import phonenumbers
import pytest

from core.config import Config
from rating.deck import Call
from rating.decks import read_deck
from rating.price import price_one
from simulator import destinations
from simulator.decks import NEW_PRICES_FROM, OFFERS, deck_csv
from simulator.patterns import beginnings, draw, parse
from simulator.world import DIAL_PLANS, make_world, new_contact


def test_decks_are_read_by_rating_and_cost_what_destinations_cost() -> None:
    deck = read_deck(deck_csv("sell-business"), "sell-business", "EUR")
    assert 3000 < len(set(deck.prefixes)) < 10_000

    def minute(number: str) -> float:
        return price_one(deck, Call(number), 1_772_438_400_000, 60_000, True).nanos / 1e9

    assert minute("436641234567") < 0.05
    assert minute("12125550123") < 0.02
    assert minute("88216123456789") > 3
    assert minute("8816123456789") > 6
    assert minute("5351234567") > 1
    assert minute("979123456789") > 2


def test_some_prices_change_on_a_day() -> None:
    rows = [line.split(",") for line in deck_csv("buy-alpha").decode().splitlines() if NEW_PRICES_FROM in line]
    ends = {row[0] for row in rows if row[-1] == NEW_PRICES_FROM}
    begins = {row[0] for row in rows if row[-2] == NEW_PRICES_FROM}
    assert ends == begins
    assert len(ends) > 30


def test_the_config_contains_all_names_it_refers_to() -> None:
    world = make_world(3, tenants=("one", "two"), accounts=6)
    config: Config = world.config
    assert set(config.decks) == set(OFFERS)
    assert config.decks == {name: hashlib.sha256(csv).hexdigest() for name, csv in world.decks.items()}
    plans = {row.name for row in config.dial_plans}
    assert {trunk.dial_plan for trunk in config.trunks} <= plans
    assert {one.sell_deck for one in config.accounts} | {one.buy_deck for one in config.carriers} <= set(config.decks)
    assert len({(one.tenant, one.name) for one in config.accounts}) == 2 * 7
    sources = [source for trunk in config.trunks for source in trunk.sources]
    assert len(sources) == len(set(sources)) == 14
    assert world.tenants() == ["one", "two"]


def test_a_seed_is_one_world() -> None:
    assert make_world(5).config == make_world(5).config
    assert make_world(5).config != make_world(6).config


def test_contacts_have_possible_numbers() -> None:
    rng = Random(1)
    bad = []
    world = make_world(1)
    for _ in range(30):
        for one in world.subscribers:
            contact = new_contact(rng, one)
            if contact.region and not phonenumbers.is_possible_number(phonenumbers.parse("+" + contact.number)):
                bad.append(contact)
    assert not bad


@pytest.mark.parametrize("pattern", ["7(?:[1-3]\\d|80)\\d{2,3}", "(?:2|[5-79])\\d?1", "0{2}|9[13]4?"])
def test_numbers_drawn_from_a_pattern_match_it(pattern: str) -> None:
    rng, node = Random(2), parse(pattern)
    numbers = [draw(node, rng) for _ in range(300)]
    assert all(re.fullmatch(pattern, one) for one in numbers)
    assert {one[:2] for one in numbers} <= beginnings(node, 2)


def test_an_unknown_pattern_syntax_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot read"):
        parse("7.*")
    with pytest.raises(ValueError, match="not closed"):
        parse("(?:7")


def test_every_destination_has_a_price_and_a_prefix_of_its_own() -> None:
    table = destinations.table()
    assert len({one.prefix for one in table}) == len(table)
    assert all(one.cost > 0 and one.prefix.isdigit() for one in table)
    assert {"fixed", "mobile", "premium", "satellite"} <= {one.kind for one in table}
    assert {row.name for row in DIAL_PLANS} == {"e164", "at", "gb", "us", "tech"}
