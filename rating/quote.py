"""What a call costs or would cost, and how long a call some money buys: one answer for charging, for programs and for people."""

from __future__ import annotations

from typing import NamedTuple

from core.numbers import E164_KINDS, DialPlan, normalise
from rating.contracts import NO_DECK, PLANNED, UNKNOWN, Charged, Terms
from rating.deck import FOREVER_MS, Call
from rating.explain import Explanation, explain
from rating.price import Offer, PricedOne, price_one
from rating.rules import Instant

LONGEST_S = 7 * 24 * 3600
"""No call lasts longer: what money buys without end is this."""


class Quote(NamedTuple):
    """A price and by what. `offer` is None, and `why_not` says why, where there is no price."""

    priced: PricedOne
    offer: Offer | None
    agreement: str
    party: str
    why_not: str = ""
    at_ms: int = 0  # whose price list counts
    talk_ms: int = 0
    call: Call = Call("")
    level: int = 0
    until_ms: int = FOREVER_MS  # when the agreement goes on to another deck

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
    terms: Terms, tenant: str, account: str, a_number: str, b_number: str, at_ms: int, talk_ms: int, *, lrn: str = "", carrier: str = "",
    setup_ms: int | None = None,
) -> Quote:
    """What an account pays for a call that is answered at a moment, or with `carrier`, what that carrier takes. Numbers are as people write
    them, with their country code. A call of 0 ms is an attempt that failed. `setup_ms`: None = at the moment of the answer; whether setup, answer
    or end chooses the price list, the agreement says.

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
    call = Call(_digits(b_number), _digits(a_number), _digits(lrn))
    found = _by(terms, charged, name, call, at_ms, talk_ms, setup_ms)
    if found.offer is not None and not call.b_number:
        return found._replace(priced=PricedOne(-1), why_not=f"{b_number!r} is no number with a country code")
    return found


def above(
    terms: Terms, tenant: str, account: str, a_number: str, b_number: str, at_ms: int, talk_ms: int, *, lrn: str = "", setup_ms: int | None = None
) -> list[Quote]:
    """What each reseller above an account pays for the same call, the nearest first. Arguments as of `quote`."""
    call = Call(_digits(b_number), _digits(a_number), _digits(lrn))
    resellers = terms.sold(tenant, account)[1:]
    return [_by(terms, one, f"reseller {one.party!r}", call, at_ms, talk_ms, setup_ms) for one in resellers]


def _by(terms: Terms, charged: Charged, name: str, call: Call, answer_ms: int, talk_ms: int, setup_ms: int | None) -> Quote:
    at_ms = moment_ms(charged.instant, answer_ms, talk_ms, setup_ms)
    offer, until_ms, reason = _offer(terms, charged, at_ms, name)
    found = Quote(PricedOne(-1), offer, charged.agreement, charged.party, reason, at_ms, talk_ms, call, charged.level, until_ms)
    if offer is None:
        return found
    priced = price_one(offer.deck, call, at_ms, talk_ms, talk_ms > 0, offer.rules)
    return found._replace(priced=priced, why_not="" if priced.rate >= 0 else explain(offer, priced, at_ms, talk_ms, talk_ms > 0).why_not)


def moment_ms(instant: Instant, answer_ms: int, talk_ms: int, setup_ms: int | None) -> int:
    """When the price list of an agreement is looked at.

    >>> [moment_ms(instant, 5_000, 1_000, 2_000) for instant in ("setup", "answer", "end")]
    [2000, 5000, 6000]
    """
    if instant == "end":
        return answer_ms + talk_ms
    return answer_ms if instant == "answer" or setup_ms is None else setup_ms


def _offer(terms: Terms, charged: Charged, at_ms: int, name: str) -> tuple[Offer | None, int, str]:
    place, until_ms = charged.offer, FOREVER_MS
    if place == PLANNED:
        place, until_ms = next(((of, until) for since, until, of in charged.plan if since <= at_ms < until), (NO_DECK, FOREVER_MS))
    if place == UNKNOWN:
        return None, until_ms, f"{name} is not known: add it and publish a new config version"
    if place == NO_DECK:
        return None, until_ms, f"{name} has no deck at this moment"
    return terms.offers[place], until_ms, ""


def _digits(text: str) -> str:
    found = normalise(text, DialPlan())
    return found.digits if found.kind in E164_KINDS else ""


def seconds_for(offer: Offer, call: Call, at_ms: int, money_nanos: int, until_ms: int = FOREVER_MS) -> int:
    """How many seconds of a call some money buys, with every fee, step and change of the price within it: never a second too many. It is 0
    where the call may not be made or the money does not pay for its first increment. `at_ms`: the moment whose price list counts; of an
    agreement that prices by the end of the call, its answer, and no call is counted that ends at `until_ms` or later.

    >>> from rating.decks import read_deck
    >>> deck = read_deck(b"prefix,price_per_min,connect_fee,first_s,next_s\\n43,0.06,0.01,60,6", "d", "EUR")
    >>> [seconds_for(Offer(deck), Call("431"), 0, nanos) for nanos in (69_999_999, 70_000_000, 76_000_000)]
    [0, 60, 66]
    """

    by_end = offer.rules.rating_instant == "end"

    def fits(seconds: int) -> bool:
        moment = at_ms + 1000 * seconds * by_end
        one = price_one(offer.deck, call, moment, 1000 * seconds, True, offer.rules)
        return one.rate >= 0 and one.nanos + one.attempt_nanos <= money_nanos

    # By one price list a longer call never costs less, so the longest that fits is found by halving. Where its end chooses the list, a call may
    # become cheaper at a change: it has to be paid for wherever it ends, so every list before that one is looked at first.
    low, longest_s = 0, min(LONGEST_S, -(-(until_ms - at_ms) // 1000) - 1) if by_end else LONGEST_S
    while low < longest_s:
        high = longest_s
        if by_end:
            border_ms = offer.deck.next_border_ms(at_ms + 1000 * (low + 1), offer.rules)
            high = min(longest_s, -(-(border_ms - at_ms) // 1000) - 1)
        last = high
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        if low < last:
            break
    return low
