"""What a call costs or would cost, and how long a call some money buys: one answer for charging, for programs and for people."""

from __future__ import annotations

from typing import NamedTuple

from core.numbers import E164_KINDS, DialPlan, normalise
from rating.contracts import NO_DECK, PLANNED, UNKNOWN, Charged, Terms
from rating.deck import Call
from rating.explain import Explanation, explain
from rating.price import Offer, PricedOne, price_one

LONGEST_S = 7 * 24 * 3600
"""No call lasts longer: what money buys without end is this."""


class Quote(NamedTuple):
    """A price and by what. `offer` is None, and `why_not` says why, where there is no price."""

    priced: PricedOne
    offer: Offer | None
    agreement: str
    party: str
    why_not: str = ""
    at_ms: int = 0
    talk_ms: int = 0
    call: Call = Call("")

    @property
    def nanos(self) -> int:
        """The amount with its attempt fee."""
        return self.priced.nanos + self.priced.attempt_nanos

    @property
    def explanation(self) -> Explanation | None:
        """Its derivation."""
        if self.offer is None:
            return None
        return explain(self.offer, self.priced, self.at_ms, self.talk_ms, self.talk_ms > 0, self.agreement)


def quote(
    terms: Terms, tenant: str, account: str, a_number: str, b_number: str, at_ms: int, talk_ms: int, *, lrn: str = "", carrier: str = ""
) -> Quote:
    """What an account pays for a call that is answered at a moment, or with `carrier`, what that carrier takes. Numbers are as people write
    them, with their country code. A call of 0 ms is an attempt that failed.

    >>> from core.config import Account, Config
    >>> from rating.contracts import compile_contracts
    >>> from rating.decks import read_deck
    >>> deck = read_deck(b"prefix,price_per_min,first_s,next_s\\n43,0.06,60,6", "retail", "EUR")
    >>> config = Config(accounts=(Account(tenant="t1", name="acme", sell_deck="retail"),), decks={"t1/retail": deck.deck_id})
    >>> terms = compile_contracts(config, {"t1/retail": deck})
    >>> found = quote(terms, "t1", "acme", "", "+43 1 234567", 0, 61_000)
    >>> found.priced.charged_s, found.nanos, quote(terms, "t1", "acme", "", "+1 202 5550123", 0, 1000).why_not
    (66, 66000000, 'no row of the deck fits the number at this moment')
    """
    charged = terms.bought(tenant, carrier) if carrier else terms.sold(tenant, account)[0]
    name = f"carrier {carrier!r}" if carrier else f"account {account!r}"
    offer, reason = _offer(terms, charged, at_ms, name)
    if offer is None:
        return Quote(PricedOne(-1), None, charged.agreement, charged.party, reason, at_ms, talk_ms)
    call = Call(_digits(b_number), _digits(a_number), _digits(lrn))
    if not call.b_number:
        return Quote(PricedOne(-1), offer, charged.agreement, charged.party, f"{b_number!r} is no number with a country code", at_ms, talk_ms)
    priced = price_one(offer.deck, call, at_ms, talk_ms, talk_ms > 0, offer.rules)
    found = Quote(priced, offer, charged.agreement, charged.party, "", at_ms, talk_ms, call)
    return found if priced.rate >= 0 else found._replace(why_not=explain(offer, priced, at_ms, talk_ms, talk_ms > 0).why_not)


def _offer(terms: Terms, charged: Charged, at_ms: int, name: str) -> tuple[Offer | None, str]:
    place = charged.offer
    if place == PLANNED:
        place = next((of for from_ms, until_ms, of in charged.plan if from_ms <= at_ms < until_ms), NO_DECK)
    if place == UNKNOWN:
        return None, f"{name} is not known: add it and publish a new config version"
    if place == NO_DECK:
        return None, f"{name} has no deck at this moment"
    return terms.offers[place], ""


def _digits(text: str) -> str:
    found = normalise(text, DialPlan())
    return found.digits if found.kind in E164_KINDS else ""


def seconds_for(offer: Offer, call: Call, at_ms: int, money_nanos: int) -> int:
    """How many seconds of a call some money buys, with every fee, step and change of the price within it: never a second too many. It is 0
    where the call may not be made or the money does not pay for its first increment.

    >>> from rating.decks import read_deck
    >>> deck = read_deck(b"prefix,price_per_min,connect_fee,first_s,next_s\\n43,0.06,0.01,60,6", "d", "EUR")
    >>> [seconds_for(Offer(deck), Call("431"), 0, nanos) for nanos in (69_999_999, 70_000_000, 76_000_000)]
    [0, 60, 66]
    """

    def fits(seconds: int) -> bool:
        one = price_one(offer.deck, call, at_ms, 1000 * seconds, True, offer.rules)
        return one.rate >= 0 and one.nanos + one.attempt_nanos <= money_nanos

    # A longer call never costs less, so the longest that fits is found by halving.
    low, high = 0, LONGEST_S
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
