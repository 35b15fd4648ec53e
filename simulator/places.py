"""Destinations as columns: where a number is, what a minute costs there, and valid numbers by the million.

A destination is a country and number type. Each has a few heads (the leading digits of valid numbers); a number is a head and random digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np

from simulator import destinations
from simulator.columns import Array, Floats, Ints
from simulator.countries import COUNTRIES

HEADS = 8
SATELLITE = ("8707", "8816", "8818", "88216")
KINDS = ("fixed", "mobile", "tollfree", "shared", "premium")


@dataclass(frozen=True)
class Places:
    """Columns by destination. `of` finds the place of (region, kind); a kind that a country lacks stands for its fixed lines."""

    regions: tuple[str, ...]
    kinds: tuple[str, ...]
    cost: Floats  # EUR per minute
    answered: Floats
    heads: Ints  # (destinations, HEADS)
    tails: Ints  # how many digits follow the head
    of: dict[tuple[str, str], int]

    def numbers(self, place: Array, bits: Array) -> Ints:
        """A valid number of each destination, by 64 hashed bits."""
        head = self.heads[place, (bits % np.uint64(HEADS)).astype(np.int64)]
        power = 10 ** self.tails[place]
        found: Ints = head * power + ((bits >> np.uint64(8)) % power.astype(np.uint64)).astype(np.int64)
        return found


@lru_cache(maxsize=1)
def places() -> Places:
    """All destinations. The same for every seed.

    >>> from simulator.columns import hashed
    >>> found = places()
    >>> austria = found.of["AT", "mobile"]
    >>> str(found.numbers(np.array([austria]), hashed(np.array([1])))[0])[:3]
    '436'
    """
    rng = Random("places")
    regions: list[str] = []
    kinds: list[str] = []
    cost: list[float] = []
    answered: list[float] = []
    heads: list[list[int]] = []
    tails: list[int] = []
    of: dict[tuple[str, str], int] = {}
    for region, country in COUNTRIES.items():
        for kind in KINDS:
            of[region, kind] = len(regions)
            drawn = [destinations.number(region, kind, rng) for _ in range(HEADS)]
            tail = 5 if min(map(len, drawn)) >= 11 else 4
            regions.append(region)
            kinds.append(kind)
            cost.append(destinations.cost(country, kind))
            answered.append(country.answered)
            heads.append([int(number[:-tail]) for number in drawn])
            tails.append(tail)
    for prefix in SATELLITE:
        of[prefix, "satellite"] = len(regions)
        drawn = [destinations.beyond(prefix, rng) for _ in range(HEADS)]
        regions.append(prefix)
        kinds.append("satellite")
        cost.append(4.0)
        answered.append(0.5)
        heads.append([int(number[:-4]) for number in drawn])
        tails.append(4)
    return Places(
        tuple(regions), tuple(kinds), np.array(cost), np.array(answered), np.array(heads, np.int64), np.array(tails, np.int64), of
    )


def unallocated(region: str, rng: np.random.Generator) -> str:
    """The leading digits (8 of 11 or so) of a range that the country's numbering plan does not assign.

    >>> unallocated("LV", np.random.default_rng(1))[:3]
    '371'
    """
    import phonenumbers

    code = str(phonenumbers.country_code_for_region(region))
    for _ in range(500):
        head = code + "".join(str(digit) for digit in rng.integers(0, 10, 8 - len(code)))
        parsed = phonenumbers.PhoneNumber(country_code=int(code), national_number=int(head[len(code) :] + "123"))
        if head[len(code)] != "0" and not phonenumbers.is_valid_number(parsed):
            return head
    return head
