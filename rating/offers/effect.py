"""What decks would have cost on own traffic: the same calls, priced by each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.numbering import country_code
from rating.deck import Calls, Deck, Moments
from rating.prefixes import Ints
from rating.price import RULES, price_all
from rating.rules import Rules


@dataclass(frozen=True, eq=False)
class Traffic:
    """Attempts by number, duration and whether they were answered: one place per group, `count` attempts in each."""

    b_numbers: list[str]
    duration_ms: Ints
    answered: npt.NDArray[np.bool_]
    count: Ints


class Line(NamedTuple):
    """One destination under several decks. `cost_nanos`: by deck, Python integers; `unpriced`: by deck, answered calls without a rate."""

    destination: str
    calls: int
    seconds: int
    cost_nanos: dict[str, int]
    unpriced: dict[str, int]


class AsOf(NamedTuple):
    """A deck as it is at a time, and the rules by which it prices: its currency and rounding."""

    deck: Deck
    at_ms: int
    rules: Rules = RULES


def cost(traffic: Traffic, decks: Mapping[str, AsOf], named_by: Sequence[AsOf]) -> list[Line]:
    """The traffic by destination under each deck; the longest first.

    Destinations are named by the first deck of `named_by` that has the number, else by the country code. Seconds are of talk, not yet
    rounded to increments.

    >>> from rating.decks import read_deck
    >>> one = AsOf(read_deck(b"prefix,destination,price_per_min\\n44,UK,0.06\\n", "one", "EUR"), 0)
    >>> two = AsOf(read_deck(b"prefix,destination,price_per_min\\n44,UK,0.03\\n", "two", "EUR"), 0)
    >>> traffic = Traffic(["441", "491"], np.array([60_000, 30_000]), np.array([True, True]), np.array([10, 1]))
    >>> for line in cost(traffic, {"one": one, "two": two}, [one]): print(line)
    Line(destination='UK', calls=10, seconds=600, cost_nanos={'one': 600000000, 'two': 300000000}, unpriced={'one': 0, 'two': 0})
    Line(destination='+49', calls=1, seconds=30, cost_nanos={'one': 0, 'two': 0}, unpriced={'one': 1, 'two': 1})
    """
    called = Calls(traffic.b_numbers)
    if not traffic.b_numbers:
        return []
    names = _names(called, named_by)
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    group = np.asarray([order[name] for name in names], np.int64)
    calls = _sums(group, np.where(traffic.answered, traffic.count, 0), len(order))
    seconds = _sums(group, np.where(traffic.answered, (traffic.duration_ms + 500) // 1000 * traffic.count, 0), len(order))
    costs: dict[str, list[int]] = {}
    unpriced: dict[str, list[int]] = {}
    for name, (deck, at_ms, rules) in decks.items():
        when = np.full(len(names), at_ms, np.int64)
        priced, _ = price_all(deck, called, when, traffic.duration_ms, traffic.answered, rules)
        unpriced[name] = _sums(group, np.where((priced.rate < 0) & traffic.answered, traffic.count, 0), len(order))
        costs[name] = _money(group, priced.nanos + priced.attempt_nanos, traffic.count, len(order))
    lines = [
        Line(name, calls[at], seconds[at], {one: costs[one][at] for one in decks}, {one: unpriced[one][at] for one in decks})
        for name, at in order.items()
    ]
    return sorted(lines, key=lambda line: (-line.seconds, line.destination))


def _names(calls: Calls, named_by: Sequence[AsOf]) -> list[str]:
    """The destination of each number."""
    numbers, every = calls.b_numbers, np.arange(len(calls.b_numbers))
    found = [""] * len(numbers)
    for deck, at_ms, _ in named_by:
        rows = deck.find_all(calls, every, Moments(np.full(len(every), at_ms, np.int64), RULES)).tolist()
        found = [name or (deck.destinations[row] if row >= 0 else "") for name, row in zip(found, rows, strict=True)]
    return [name or f"+{country_code(number)}" for name, number in zip(found, numbers, strict=True)]


def _sums(group: Ints, values: Ints, groups: int) -> list[int]:
    """Sums of groups: `bincount` would add floats."""
    found = np.zeros(groups, np.int64)
    np.add.at(found, group, values)
    return [int(value) for value in found]


def _money(group: Ints, nanos: Ints, count: Ints, groups: int) -> list[int]:
    """Exact sums of nanos times calls: in two halves, since IDR times a million calls does not fit 64 bits."""
    high, low = np.divmod(nanos, 1_000_000_000)
    return [one * 1_000_000_000 + two for one, two in zip(_sums(group, high * count, groups), _sums(group, low * count, groups), strict=True)]


def total(lines: list[Line], name: str) -> int:
    """What all destinations cost by one deck."""
    return sum(line.cost_nanos[name] for line in lines)
