"""What a deck looks like beside the numbering plans of the world and the decks of other carriers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from core.money import to_text
from core.numbering import country_code
from core.numbering_data import COUNTRY_CODES, WORLD_CODES
from rating.deck import FOREVER_MS, Deck
from rating.offers.compare import InForce, settled_ms
from rating.offers.finding import Findings
from rating.prefixes import encode_all

FEWEST_OTHERS = 1
MOST_SHOWN = 5_000
"""Codes far from the others' that are put together by destination; the rest is counted."""


def against_master(deck: Deck, full: bool, now_ms: int) -> Findings:
    """Codes of no country, and of a whole A-Z the countries that it leaves out.

    >>> from rating.decks import read_deck
    >>> rows = "".join(f"{code},1\\n" for code in ("999", *COUNTRY_CODES) if code != "43")
    >>> deck = read_deck(f"prefix,price_per_min\\n{rows}".encode(), "d", "EUR")
    >>> [one.what for one in against_master(deck, True, 0)]
    ['code 999 belongs to no country of the numbering plans', '1 country has no price, of 206: +43 Austria']
    """
    findings = Findings()
    codes = {code.partition(" ")[0] for code in InForce(deck, settled_ms(deck, now_ms)).row_of}
    heads = {code[:3] for code in codes}
    begins = {code[:length] for code in COUNTRY_CODES for length in range(1, len(code) + 1)}
    strange = {head for head in heads if country_code(head) not in begins}
    for code in sorted(code for code in codes if code[:3] in strange) if strange else ():
        findings.add("no country", "warning", f"code {code} belongs to no country of the numbering plans", "ask the carrier what it is")
    if full:
        begun = {head[:length] for head in heads for length in range(1, len(head) + 1)}
        countries = sorted(COUNTRY_CODES.keys() - WORLD_CODES, key=lambda code: code.ljust(4, "0"))
        absent = [code for code in countries if code not in begun and not any(code[:length] in codes for length in range(1, len(code)))]
        if absent:
            names = ", ".join(f"+{code} {COUNTRY_CODES[code]}" for code in absent[:12])
            more = f" and {len(absent) - 12} more" if len(absent) > 12 else ""
            are = "country has" if len(absent) == 1 else "countries have"
            what = f"{len(absent)} {are} no price, of {len(countries)}: {names}{more}"
            findings.add("gap", "warning", what, "route them over another carrier, or ask for a price")
    return findings


class Other(NamedTuple):
    """A carrier's deck, and what a unit of its currency is worth in that of the deck that it is compared with."""

    deck: Deck
    rate: Fraction = Fraction(1)


def against_others(deck: Deck, others: Mapping[str, Other], factor: float, now_ms: int, sells: bool = False) -> Findings:
    """Prices that are `factor` times the median of the other carriers' for the same code or more, or a part of it. `sells`: the deck is what
    customers pay; then the carriers' is what it costs, and a price below it is a finding as well.

    >>> from rating.decks import read_deck
    >>> prices = ("a", "0.02"), ("b", "0.03")
    >>> decks = {name: Other(read_deck(f"prefix,price_per_min\\n44,{price}\\n".encode(), name, "EUR")) for name, price in prices}
    >>> mine = read_deck(b"prefix,price_per_min\\n44,0.2\\n4477,0.02\\n", "mine", "EUR")
    >>> [one.what for one in against_others(mine, decks, 3, 0)]
    ['code 44 costs 0.2 a minute, 8.0 times the median of 2 other carriers (0.025)']
    >>> [one.what for one in against_others(mine, decks, 9, 0, sells=True)]
    ['1 code is sold below what it costs, such as 4477: 0.02 a minute, and the median of 2 carriers is 0.025']
    """
    findings = Findings()
    if not others:
        return findings
    at_ms = settled_ms(deck, now_ms)
    mine = InForce(deck, at_ms)
    codes = list(mine.plain)
    encoded = encode_all(codes)
    theirs = np.full((len(others), len(codes)), np.nan)
    for place, (other, rate) in enumerate(others.values()):
        live = InForce(other, at_ms)
        rows = live.found(encoded)
        theirs[place] = np.where(rows >= 0, live.column("per_min_nanos", rows).astype(np.float64) * float(rate), np.nan)
    known = np.count_nonzero(~np.isnan(theirs), axis=0)
    some = np.flatnonzero(known >= FEWEST_OTHERS)
    median = np.full(len(codes), np.nan)
    median[some] = np.nanmedian(theirs[:, some], axis=0)
    price = mine.column("per_min_nanos", np.asarray([mine.row_of[code] for code in codes], np.int64)).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = price / median
    far = np.flatnonzero((median > 0) & ((ratio >= factor) | (ratio <= 1 / factor)))
    groups: dict[tuple[str, int], list[int]] = {}
    farthest = far[np.argsort(-np.abs(np.log(np.maximum(ratio[far], 1e-9))))]
    for place in farthest[:MOST_SHOWN].tolist():
        groups.setdefault((deck.destinations[mine.row_of[codes[place]]], int(price[place])), []).append(place)
    for (name, nanos), places in groups.items():
        place = places[0]
        one, more = ("a carrier's", "carriers") if sells else ("another carrier's", "other carriers")
        carriers = one if known[place] == 1 else f"the median of {known[place]} {more}"
        times = f"{ratio[place]:.1f} times" if ratio[place] >= 1 else f"{ratio[place]:.2f} of"
        beside = f" and {len(places) - 1:,} more of {name or 'the same price'}" if len(places) > 1 else f" ({name})" if name else ""
        findings.add(
            "far price", "warning",
            f"code {codes[place]}{beside} costs {to_text(nanos)} a minute, {times} {carriers} ({to_text(round(median[place]))})",
            "look for a slipped decimal or a premium range before it is in force",
        )  # fmt: skip
    below = np.flatnonzero(price < median) if sells else np.zeros(0, np.int64)
    if len(below):
        place = int(below[np.argmin(ratio[below])])
        are = "code is" if len(below) == 1 else "codes are"
        findings.add(
            "below cost", "warning", f"{len(below):,} {are} sold below what it costs, such as {codes[place]}: {to_text(int(price[place]))} a minute, "
            f"and the median of {known[place]} carriers is {to_text(round(median[place]))}", "raise it, or route it over a cheaper carrier",
        )  # fmt: skip
    if len(farthest) > MOST_SHOWN:
        findings.count("far price", "warning", len(farthest) - MOST_SHOWN)
    return findings


def of_dates(deck: Deck, dated: bool, now_ms: int, carried: int) -> Findings:
    """Rows that say no date, and rows whose date has passed."""
    findings = Findings()
    if not dated:
        findings.add("missing date", "warning", "no row says from when it is valid", "say it with --from, or with --at when it is activated")
    past = np.flatnonzero((deck.from_ms > -FOREVER_MS) & (deck.from_ms < now_ms - 86_400_000))
    if len(past) and len(past) > carried:
        first = datetime.fromtimestamp(int(deck.from_ms[past].min()) / 1000, UTC)
        findings.add(
            "past date", "note", f"{len(past):,} rows are valid from a date that has passed, the earliest {first:%Y-%m-%d}",
            "they are in force when the deck is: what was sold before keeps its price",
        )  # fmt: skip
    return findings
