"""Why a call costs what it costs: a derivation that a person can follow, and that alone gives the price again.

It is computed when somebody asks, and stored nowhere: the charge names the version of everything that it was computed from.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import msgspec

from core.money import NANOS, to_text
from rating.deck import FOREVER_MS, LONGEST
from rating.jurisdiction import ANY, NAMES
from rating.markup import words
from rating.price import NO_RATE, OUT_OF_RANGE, REJECTED, Offer, PricedOne
from rating.rules import MILLION, Mode, rounded, whole_units


class Part(msgspec.Struct, frozen=True):
    """Seconds of the call at one price. `from_s` counts in the charged time, which begins after the free seconds. Of an agreement with a finer
    unit of time (`Explanation.unit_ms`) all times are in that unit, and the price is per so many of them."""

    from_s: int
    seconds: int
    increments: int
    increment_s: int
    price: str
    per_s: int
    prefix: str
    window: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Amounts are decimal text in the deck's currency, the last one in the agreement's. `why_not`: why there is no amount."""

    agreement: str = ""
    deck: str
    deck_version: str
    at: str  # the moment whose price list counts
    currency: str
    prefix: str = ""
    destination: str = ""
    effective_from: str = ""
    effective_to: str = ""
    conditions: dict[str, str] = {}
    talk_ms: int = 0
    talk_rounding: Mode = "half_up"
    unit_ms: int = 1000  # of the times below: a second, or a part of one
    billable_s: int = 0
    shortest_s: int = 0
    grace_s: int = 0
    free_s: int = 0
    price_change: str = "call_start"
    parts: tuple[Part, ...] = ()
    connect_fee: str = "0"
    surcharge: str = "0"
    attempt_fee: str = "0"
    at_least: str = ""
    at_most: str = ""
    paid_to_the_party: bool = False
    markups: tuple[str, ...] = ()  # that the prices below have in them already, each over the one before
    tax: str = ""  # inclusive: the amount is gross
    fx: str = ""
    fx_numerator: int = 1
    fx_denominator: int = 1
    tax_ppm: int = 0
    rounding: Mode = "half_up"
    decimals: int = 9
    amount: str = ""
    amount_currency: str = ""
    why_not: str = ""


def explain(offer: Offer, one: PricedOne, at_ms: int, talk_ms: int, answered: bool, agreement: str = "", *, continued: bool = False) -> Explanation:
    """The derivation of a price by an offer. `continued`: as it was priced (`rating.price.price_one`).

    >>> from rating.deck import Call
    >>> from rating.decks import read_deck
    >>> from rating.price import price_one
    >>> offer = Offer(read_deck(b"prefix,price_per_min,connect_fee,first_s,next_s\\n43,0.06,0.01,60,6", "retail", "EUR"))
    >>> found = explain(offer, price_one(offer.deck, Call("431"), 0, 61_000, True), 0, 61_000, True)
    >>> found.amount, [(part.increments, part.increment_s, part.price, part.per_s) for part in found.parts]
    ('0.076', [(1, 60, '0.06', 60), (1, 6, '0.06', 60)])
    >>> amount_of(found)
    76000000
    """
    deck, rules = offer.deck, offer.rules
    common: dict[str, Any] = {"agreement": agreement, "deck": deck.name, "deck_version": deck.deck_id, "at": _iso(at_ms), "currency": deck.currency}
    if one.rate < 0:
        reasons = {
            NO_RATE: "no row of the deck fits the number at this moment",
            REJECTED: "the deck says that no call may go there",
            OUT_OF_RANGE: "the amount is beyond the range of one call's money",
        }
        return Explanation(**common, why_not=reasons[one.rate])
    tariff = deck.tariffs[deck.tariff[one.rate]]
    billable = max(whole_units(talk_ms, rules.seconds, rules.unit_ms), 1) if answered else 0
    is_free = billable == 0 or (not tariff.min_s and billable <= tariff.grace_s)
    sign = -1 if tariff.reverse else 1
    return Explanation(
        **common, prefix=deck.prefixes[one.rate], destination=deck.destinations[one.rate],
        effective_from=_iso(int(deck.from_ms[one.rate])), effective_to=_iso(int(deck.to_ms[one.rate])), conditions=_conditions(offer, one.rate),
        talk_ms=talk_ms, talk_rounding=rules.seconds, unit_ms=rules.unit_ms,
        billable_s=billable, shortest_s=tariff.min_s, grace_s=tariff.grace_s, free_s=tariff.free_s,
        price_change=rules.change,
        parts=tuple(
            Part(
                s.start_s, s.seconds, -(-s.seconds // s.increment_s), s.increment_s, to_text(s.price_nanos), s.per_s, deck.prefixes[s.row],
                _conditions(offer, s.row).get("window", ""),
            )
            for s in one.segments
        ),
        connect_fee=to_text(0 if is_free or continued else tariff.connect_nanos),
        surcharge=to_text(tariff.surcharge_nanos if not is_free and billable > tariff.surcharge_after_s else 0),
        attempt_fee=to_text(tariff.attempt_nanos), at_least="" if is_free or not tariff.min_nanos else to_text(tariff.min_nanos),
        at_most="" if is_free or tariff.max_nanos is None else to_text(tariff.max_nanos), paid_to_the_party=tariff.reverse,
        markups=tuple(map(words, rules.markups)), tax=rules.tax, fx=rules.fx_source,
        fx_numerator=rules.fx[0], fx_denominator=rules.fx[1], tax_ppm=rules.tax_ppm, rounding=rules.rounding_mode, decimals=rules.decimals,
        amount=to_text(sign * abs(one.nanos + one.attempt_nanos)), amount_currency=offer.currency,
    )  # fmt: skip


def _conditions(offer: Offer, row: int) -> dict[str, str]:
    deck = offer.deck
    if deck.condition is None:
        return {}
    asked = deck.conditions[deck.condition[row]]
    found = {
        "origin": asked.origin, "jurisdiction": next((name for name, kind in NAMES.items() if kind == asked.jurisdiction != ANY), ""),
        "window": f"{asked.window.text} {offer.rules.time_zone}" if not asked.window.always else "",
        "digits": f"{asked.min_digits} to {asked.max_digits}" if (asked.min_digits, asked.max_digits) != (0, LONGEST) else "",
        "weight": str(asked.weight) if asked.weight else "",
    }  # fmt: skip
    return {name: text for name, text in found.items() if text}


def _iso(at_ms: int) -> str:
    if abs(at_ms) >= FOREVER_MS:
        return ""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).isoformat()


def exact_of(found: Explanation) -> Fraction:
    """The amount before its one rounding, in units of the currency, from the derivation alone. A party that is paid has it with a minus."""
    amount = sum((Fraction(part.price) * part.seconds / part.per_s for part in found.parts), Fraction(0))
    amount += Fraction(found.connect_fee) + Fraction(found.surcharge)
    if found.at_least:
        amount = max(amount, Fraction(found.at_least))
    if found.at_most:
        amount = min(amount, Fraction(found.at_most))
    amount += Fraction(found.attempt_fee)
    amount *= Fraction(found.fx_numerator, found.fx_denominator) * Fraction(MILLION + found.tax_ppm, MILLION)
    return -amount if found.paid_to_the_party else amount


def amount_of(found: Explanation) -> int:
    """The amount in nanos, from the derivation alone."""
    exact = exact_of(found) * NANOS
    return rounded(exact.numerator, exact.denominator, int(10 ** (9 - found.decimals)), found.rounding)
