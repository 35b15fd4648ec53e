"""Destinations: prefixes by country and number type from the metadata of `phonenumbers`, and random numbers in them.

The form of a country's numbers comes from the numbering plans, the cost of a minute from `countries.py`.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata

from simulator.countries import COUNTRIES, Country
from simulator.patterns import Node, beginnings, compact, draw, parse


class Destination(NamedTuple):
    """A prefix of a deck. `region` is ISO 3166 ("" = no country); `cost` is the buy price of a minute in EUR."""

    prefix: str
    name: str
    region: str
    kind: str
    cost: float


SATELLITE_AND_BEYOND = (
    # prefix, name, kind, cost, pattern of the digits after the prefix
    ("8707", "Satellite Inmarsat", "satellite", 4.9, r"7[0-9]\d{6}"),
    ("8703", "Satellite Inmarsat M4", "satellite", 5.6, r"\d{8}"),
    ("8816", "Satellite Iridium", "satellite", 5.2, r"\d{8}"),
    ("8817", "Satellite Iridium", "satellite", 5.2, r"\d{7}"),
    ("8818", "Satellite Globalstar", "satellite", 4.1, r"\d{7}"),
    ("8819", "Satellite Globalstar", "satellite", 4.1, r"\d{7}"),
    ("88216", "Satellite Thuraya", "satellite", 2.6, r"\d{8}"),
    ("88213", "International Networks Emsat", "satellite", 3.3, r"\d{7}"),
    ("88232", "International Networks Maritime", "satellite", 2.9, r"\d{7}"),
    ("88299", "International Networks", "satellite", 2.2, r"\d{6}"),
    ("883120", "International Networks iNum", "satellite", 1.4, r"\d{7}"),
    ("883", "International Networks", "satellite", 1.7, r"510\d{8}"),
    ("882", "International Networks", "satellite", 2.4, r"34\d{6}"),
    ("870", "Satellite Inmarsat", "satellite", 5.9, r"[56]\d{8}"),
    ("881", "Mobile Satellite", "satellite", 5.1, r"[0-3]\d{8}"),
    ("979", "International Premium Rate", "premium", 1.9, r"[1359]\d{8}"),
    ("878", "Universal Personal Telecommunications", "personal", 0.9, r"10\d{10}"),
    ("808", "International Shared Cost", "shared", 0.3, r"[1-9]\d{7}"),
    ("800", "International Freephone", "tollfree", 0.02, r"[1-9]\d{7}"),
)  # fmt: skip

_TYPES = (
    # kind, field of the metadata, depth of the prefixes, word in a deck
    ("mobile", "mobile", 3, "Mobile"),
    ("premium", "premium_rate", 4, "Premium"),
    ("shared", "shared_cost", 4, "Shared Cost"),
    ("personal", "personal_number", 4, "Personal"),
    ("corporate", "uan", 4, "Corporate"),
    ("voip", "voip", 4, "VoIP"),
    ("tollfree", "toll_free", 3, "Freephone"),
)


def cost(country: Country, kind: str) -> float:
    """The buy price of a minute to a number type of a country, in EUR."""
    if kind in ("fixed", "mobile", "premium"):
        return float(getattr(country, kind))
    return {"shared": 0.08, "personal": 0.3, "corporate": 0.05, "voip": 0.01, "tollfree": 0.005}[kind] + country.fixed


@lru_cache(maxsize=1)
def table() -> tuple[Destination, ...]:
    """Every destination, by prefix.

    >>> [d.name for d in table() if d.prefix in ("43", "88216", "53")]
    ['Austria', 'Cuba', 'Satellite Thuraya']
    """
    found: dict[str, Destination] = {}
    # The main country of a code comes first: its prefix is the whole code, and the others that share the code have longer ones.
    regions = sorted(COUNTRIES, key=lambda region: (not _main(region), region))
    for region in regions:
        for one in _of_region(region):
            found.setdefault(one.prefix, one)
    for prefix, name, kind, per_min, _ in SATELLITE_AND_BEYOND:
        found[prefix] = Destination(prefix, name, "", kind, per_min)
    return tuple(found[prefix] for prefix in sorted(found))


def _main(region: str) -> bool:
    return phonenumbers.region_code_for_country_code(_code(region)) == region


def _meta(region: str) -> PhoneMetadata:
    meta = PhoneMetadata.metadata_for_region(region)
    if meta is None:
        raise ValueError(f"phonenumbers knows no region {region!r}")
    return meta


def _code(region: str) -> int:
    code = _meta(region).country_code
    assert code is not None
    return code


def _pattern(region: str, kind: str) -> Node | None:
    field = "fixed_line" if kind == "fixed" else next(field for name, field, *_ in _TYPES if name == kind)
    described = getattr(_meta(region), field)
    return parse(described.national_number_pattern) if described and described.national_number_pattern else None


def _of_region(region: str) -> list[Destination]:
    country, code = COUNTRIES[region], str(_code(region))
    fixed = _pattern(region, "fixed")
    if _main(region):
        found = [Destination(code, country.name, region, "fixed", country.fixed)]
    else:
        own = compact(beginnings(fixed, 3 if code == "1" else 4)) if fixed else frozenset()
        found = [Destination(code + one, country.name, region, "fixed", country.fixed) for one in sorted(own)]
    taken = _all_cuts(beginnings(fixed, 4)) if fixed else frozenset()
    for kind, _, depth, word in _TYPES:
        node = _pattern(region, kind)
        if node is None:
            continue
        # Where two types share a prefix (mobiles in North America), the deck has one row for both.
        own = frozenset(one for one in beginnings(node, depth) if one and one not in taken)
        taken |= _all_cuts(own)
        for one in sorted(compact(own)):
            found.append(Destination(code + one, f"{country.name} {word}", region, kind, cost(country, kind)))
    return found


def _all_cuts(prefixes: frozenset[str]) -> frozenset[str]:
    return frozenset(one[:cut] for one in prefixes for cut in range(1, len(one) + 1))


def number(region: str, kind: str, rng: Random) -> str:
    """A valid E.164 number of a country; a kind that the country does not have becomes fixed, or else mobile.

    >>> number("AT", "mobile", Random(1))[:3]
    '436'
    """
    node = _pattern(region, kind) or _pattern(region, "fixed") or _pattern(region, "mobile")
    if node is None:
        raise ValueError(f"{region} has no number to draw")
    code = str(_code(region))
    for attempt in range(1000):
        digits = code + draw(node, rng)
        # Plans of variable length allow very short numbers, which are rare and would be read as short numbers.
        if (10 if attempt < 8 else 7) <= len(digits) <= 15:
            return digits
    raise ValueError(f"{region} {kind} draws no number of 7 to 15 digits")


def beyond(prefix: str, rng: Random) -> str:
    """A number of a satellite or international network.

    >>> beyond("88216", Random(1))[:5]
    '88216'
    """
    tail = next(tail for one, *_, tail in SATELLITE_AND_BEYOND if one == prefix)
    return prefix + draw(parse(tail), rng)
