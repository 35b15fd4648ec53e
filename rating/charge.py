"""What each call is sold for at every level, and what each of its attempts is bought for.

`charge(states, assembled, values, terms)` prices the steps of a batch. A step that is not the last has the money at risk so
far; a last one leads to the rows of `core.schemas.CHARGES`. An attempt or egress leg that ends before its call is priced at once, by the
rate of its own moment, and remembered until the call is sold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from core import schemas
from core.calls import Assembled, Fate, LegEnd
from core.currencies import is_code
from core.frames import Table, of_rows
from core.money import to_nanos
from core.numbers import E164_KINDS
from core.record import Record
from core.rows import own_attempt_no
from core.schemas import CHARGES, RATED_DISPOSITION, UNRATED
from rating.contracts import NO_DECK, PLANNED, UNKNOWN, Charged, Terms
from rating.deck import Call, Calls
from rating.prefixes import Ints
from rating.price import NO_RATE, OUT_OF_RANGE, REJECTED, Offer, Priced, PricedOne, Segment, by_row, price_by, price_one

UNREADABLE = ("", "withheld", "invalid")
"""Kinds of a b_number without a destination: the price of talk to it is unknown, whoever rated it elsewhere."""

SELL, BUY = "sell", "buy"

NOT_ROUNDED = "none"
"""Of an amount from a feed."""


class Purchase(msgspec.Struct, frozen=True):
    """A charge of an attempt, or of an egress leg: columns of `core.schemas.CHARGES`. `fault`: why it has no price."""

    attempt_no: int
    party: str
    agreement: str
    carrier: str = ""
    trunk_group: str = ""
    egress_trunk: str = ""
    start_ms: int | None = None
    currency: str = ""
    fault: str = ""
    deck: str = ""
    deck_id: str = ""
    prefix: str = ""
    destination: str = ""
    charged_s: int = 0
    per_min_nanos: int = 0
    usage_nanos: int = 0
    connect_nanos: int = 0
    surcharge_nanos: int = 0
    attempt_nanos: int = 0
    segment: int = 0
    fx: str = ""
    rounding: str = NOT_ROUNDED
    tax: str = ""


@dataclass
class Purchases:
    """What a partition remembers of calls in progress: the purchases of each call key."""

    of: dict[str, list[Purchase]] = field(default_factory=dict)


@dataclass
class Amounts:
    """One place per step. Sell and buy are cumulative: the whole call so far, in nanos."""

    sell_nanos: Ints
    buy_nanos: Ints
    sell_currency: list[str]
    buy_currency: list[str]
    fault: list[str]  # why it has no price; "" = it has one
    no_rate: npt.NDArray[np.bool_]  # answered, and no rate of the deck that would price it fits its number


class Outcome(NamedTuple):
    """`fates`: as they came, but for calls that have no price. `ended`: which steps ended calls that were sold; `unpriced`: which ended calls that
    have no price."""

    amounts: Amounts
    fates: list[Fate]
    ended: list[int]
    charges: pl.DataFrame
    unpriced: Sequence[int] = ()


def charge(states: dict[int, Purchases], assembled: Assembled, values: Sequence[Record], terms: Terms) -> Outcome:
    """Price the steps of a batch. `values`: the records that `row` of a step points into."""
    fates, steps, legs = assembled
    n = steps.height
    amounts = Amounts(np.zeros(n, np.int64), np.zeros(n, np.int64), [""] * n, [""] * n, [""] * n, np.zeros(n, np.bool_))
    if not n:
        return Outcome(amounts, fates, [], schemas.empty(CHARGES))
    batch = _Batch(steps, legs, values, terms, amounts)
    batch.price()
    fates = list(fates)
    charges: list[tuple[Any, ...]] = []
    ended: list[int] = []
    unpriced: list[int] = []
    partition = batch.list_of("record_partition")
    for i in batch.settled:
        key = batch.call_key[i]
        state = states.get(partition[i]) or states.setdefault(partition[i], Purchases())
        if batch.buys[i]:
            purchases = batch.purchases(i)
            fault = purchases[0].fault
            if not (fault and batch.sells[i]):  # a late leg that cannot be priced does not take back what was sold
                state.of.setdefault(key, []).extend(purchases)
            if fault and not amounts.fault[i]:
                amounts.fault[i] = fault
        remembered = state.of.get(key, ()) if state.of else ()
        if batch.final[i] and batch.sells[i]:
            if not amounts.fault[i] and (faulty := next((p.fault for p in remembered if p.fault), "")):
                amounts.fault[i] = f"an earlier attempt: {faulty}"
            row = batch.row[i]
            if amounts.fault[i]:
                unpriced.append(i)
                if row >= 0 and fates[row].disposition == RATED_DISPOSITION:
                    fates[row] = fates[row]._replace(disposition=UNRATED, reason=amounts.fault[i])
            elif row < 0 or fates[row].disposition == RATED_DISPOSITION:
                ended.append(i)
                charges += batch.charges(i, remembered)
        if batch.gone[i] and state.of:
            state.of.pop(key, None)
    return Outcome(amounts, fates, ended, of_rows(charges, CHARGES), unpriced)


class _Batch:
    """The columns of the steps that pricing reads, and what each was priced at."""

    def __init__(self, steps: Table, legs: list[LegEnd], values: Sequence[Record], terms: Terms, amounts: Amounts) -> None:
        self.terms, self.values, self.amounts, self._steps = terms, values, amounts, steps
        column = self.list_of = steps.__getitem__
        self.call_key, self.row, self.final, self.gone = column("call_key"), column("row"), column("final"), column("gone")
        self.sells, self.buys, self.legs = column("sells"), column("buys"), column("legs")
        self.tenant, self.account, self.trunk = column("tenant"), column("account"), column("ingress_trunk")
        self.b_number, self.b_kind, self.answered = column("b_number"), column("b_kind"), column("answered")
        self.a_number, self.a_kind, self.lrn = column("a_number"), column("a_kind"), column("lrn")
        sells, buys, final, gone = (steps.array(name) for name in ("sells", "buys", "final", "gone"))
        self.rows = np.flatnonzero(sells | buys)
        self.settled = np.flatnonzero(buys | gone | (final & sells)).tolist()
        self.carrier = list(column("carrier"))
        self.leg = dict(zip(np.flatnonzero(buys).tolist(), legs, strict=True))
        for i, leg in self.leg.items():
            self.carrier[i] = leg.carrier

    def _numpy(self, name: str) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = self._steps.array(name)[self.rows]
        return found

    def price(self) -> None:
        """Both sides of every step that has money."""
        terms, amounts = self.terms, self.amounts
        at = self.rows.tolist()
        tenants, accounts = [self.tenant[i] for i in at], [self.account[i] for i in at]
        self.sold = [terms.sold(tenant, account) for tenant, account in zip(tenants, accounts, strict=True)]
        # A proxy buys what it sells; a leg with records of its own is bought by them alone.
        self.bought = [
            terms.bought(tenant, self.carrier[i] if self.buys[i] or not self.legs[i] else "") for tenant, i in zip(tenants, at, strict=True)
        ]
        kinds = [self.b_kind[i] for i in at]
        # A short number is no prefix: 112 is not a call to the USA, 911 none to Delhi.
        numbers = [self.b_number[i] if kind in E164_KINDS else "" for i, kind in zip(at, kinds, strict=True)]
        calls = Calls(numbers, [self.a_number[i] if self.a_kind[i] in E164_KINDS else "" for i in at], [self.lrn[i] for i in at])
        sells = self._numpy("sells")
        answered, duration = self._numpy("answered") & sells, self._numpy("duration_ms")
        # A call is priced by the price list of its answer (where there was none, of its end), or of the moment that its agreement names; an
        # attempt, of its own.
        answers, moments, ends, final = self.list_of("answer_ms"), self.list_of("t_ms"), self.list_of("end_ms"), self.final
        at_ms = np.asarray(
            [((ends[i] if final[i] and self.sells[i] else moments[i]) if answers[i] is None else answers[i]) for i in at], np.int64
        )
        leg_answered, leg_ms, leg_at_ms = answered.copy(), duration.copy(), at_ms.copy()
        for k, i in enumerate(at) if self.leg else ():
            if (leg := self.leg.get(i)) is not None:
                leg_answered[k], leg_ms[k], leg_at_ms[k] = leg.answered, leg.talk_ms, leg.at_ms
        setup_ms = [self.list_of("setup_ms")[i] for i in at]
        customers = [chain[0] for chain in self.sold]
        sell_ms = _moments(customers, at_ms, setup_ms, at_ms + duration)
        buy_ms = _moments(self.bought, leg_at_ms, setup_ms, leg_at_ms + leg_ms)
        sold_by, bought_by = _places(customers, sell_ms), _places(self.bought, buy_ms)
        sell, self.sell_segments = price_by(terms.offers, np.where(sells, sold_by, NO_DECK), calls, sell_ms, duration, answered)
        buy, self.buy_segments = price_by(terms.offers, bought_by, calls, buy_ms, leg_ms, leg_answered)
        amounts.sell_nanos[self.rows], amounts.buy_nanos[self.rows] = sell.nanos, buy.nanos
        no_rate = (answered & (sold_by >= 0) & (sell.rate < 0)) | (leg_answered & (bought_by >= 0) & (buy.rate < 0))
        suspicious = no_rate | (sold_by == UNKNOWN) | (bought_by == UNKNOWN)
        # From here on by row: lists of Python's own numbers are read faster than arrays.
        self.sell, self.buy = Priced(*(column.tolist() for column in sell)), Priced(*(column.tolist() for column in buy))
        self.sold_by, self.bought_by = sold_by.tolist(), bought_by.tolist()
        self.at_ms, self.leg_at_ms, self.leg_answered, self.duration = at_ms.tolist(), leg_at_ms.tolist(), leg_answered.tolist(), duration.tolist()
        self.place = dict(zip(at, range(len(at)), strict=True))
        currencies = [*(offer.currency for offer in terms.offers), ""]  # -1, no deck, is the last
        for i, sell_place, buy_place in zip(at, self.sold_by, self.bought_by, strict=True):
            amounts.sell_currency[i] = currencies[sell_place if sell_place >= 0 else -1]
            amounts.buy_currency[i] = currencies[buy_place if buy_place >= 0 else -1]
        self.amount: dict[tuple[int, str], int] = {}  # (step, side) -> the feed's own amount
        self._above: dict[int, list[tuple[Charged, Offer | None, PricedOne]]] = {}
        if any(record.sell_amount or record.buy_amount for record in self.values):
            for i in at:
                self._feed_amounts(i)
        if not terms.self_register:
            known = {key: key in terms.trunks for key in set(zip(tenants, (self.trunk[i] for i in at), strict=True)) if key[1]}
            if not all(known.values()):
                suspicious |= np.asarray([not known.get((self.tenant[i], self.trunk[i]), True) for i in at], bool)
        if not terms.self_register or terms.sell_amount_expected:
            suspicious |= answered & (sold_by == NO_DECK)
        unreadable = [kind in UNREADABLE for kind in kinds]
        if any(unreadable):
            suspicious |= answered & self._numpy("final") & np.asarray(unreadable, bool)
        if no_rate.any():  # nobody pays for an emergency call
            amounts.no_rate[self.rows] = no_rate & np.asarray([kind != "emergency" for kind in kinds], bool)
        if any(len(chain) > 1 for chain in self.sold):
            suspicious |= answered & self._numpy("final") & np.asarray([len(chain) > 1 for chain in self.sold], bool)
        for k in np.flatnonzero(suspicious).tolist():
            i = at[k]
            if not amounts.fault[i]:
                amounts.fault[i] = self._fault(k, i)

    def _feed_amounts(self, i: int) -> None:
        """A feed's own amounts stand as rated where we have no deck for the party."""
        row, k, amounts = self.row[i], self.place[i], self.amounts
        if row < 0:
            return
        record = self.values[row]
        try:
            if record.sell_amount and self.sold_by[k] < 0:
                nanos, amounts.sell_currency[i] = feed_amount("sell_amount", record.sell_amount, record.currency)
                amounts.sell_nanos[i] = self.amount[i, SELL] = nanos
            if record.buy_amount and self.bought_by[k] < 0:
                nanos, amounts.buy_currency[i] = feed_amount("buy_amount", record.buy_amount, record.buy_currency or record.currency)
                amounts.buy_nanos[i] = self.amount[i, BUY] = nanos
        except ValueError as wrong:
            amounts.fault[i] = str(wrong)

    def _fault(self, k: int, i: int) -> str:
        """Why a step has no price, or ""."""
        terms, account, trunk, carrier = self.terms, self.account[i], self.trunk[i], self.carrier[i]
        sold_by, bought_by = self.sold_by[k], self.bought_by[k]
        mend = "add it and publish a new config version"
        if sold_by == UNKNOWN:
            return f"account {account!r} is not known: {mend}" if account else "no ingress account: the caller's address belongs to no trunk"
        if trunk and not terms.self_register and (self.tenant[i], trunk) not in terms.trunks:
            return f"ingress trunk {trunk!r} is not known: {mend}"
        if bought_by == UNKNOWN:
            return f"carrier {carrier!r} is not known: {mend}"
        if not (self.answered[i] or self.leg_answered[k]):
            return ""
        kind, number = self.b_kind[i], self.b_number[i]
        if kind == "emergency":
            return ""  # nobody pays for it
        for side, place, priced, talks in (
            (SELL, sold_by, self.sell, self.answered[i]), (BUY, bought_by, self.buy, self.leg_answered[k])
        ):  # fmt: skip
            if talks and place >= 0 and priced.rate[k] < 0:
                return _why(side, terms.offers[place].deck.name, number, kind, self._b_raw(i), priced.rate[k])
        if not (self.final[i] and self.answered[i]):
            return ""
        if kind in UNREADABLE:
            return _unreadable("", number, kind, self._b_raw(i))
        if sold_by == NO_DECK and not self.amounts.sell_currency[i]:
            if not terms.self_register:
                return f"account {account!r} has no sell deck and the record has no amount"
            if terms.sell_amount_expected:
                return "answered, the row has no sell_amount, and no deck prices the call"
        for by, offer, one in self._resellers(i, k):
            if offer is None:
                return f"reseller {by.party!r} has no deck at this moment"
            if one.rate < 0:
                return f"reseller {by.party!r}: {_why(SELL, offer.deck.name, number, kind, self._b_raw(i), one.rate)}"
        return ""

    def _resellers(self, i: int, k: int) -> list[tuple[Charged, Offer | None, PricedOne]]:
        """What each level above the customer pays; an offer of None: it has no deck at this moment."""
        if (known := self._above.get(k)) is not None:
            return known
        found = self._above[k] = []
        number, caller = self.b_number[i] if self.b_kind[i] in E164_KINDS else "", self.a_number[i] if self.a_kind[i] in E164_KINDS else ""
        answer_ms, duration_ms = self.at_ms[k], self.duration[k]
        for by in self.sold[k][1:]:
            moment = _moments([by], np.asarray([answer_ms]), [self.list_of("setup_ms")[i]], np.asarray([answer_ms + duration_ms]))
            place = int(_places([by], moment)[0])
            if place < 0:
                found.append((by, None, PricedOne(NO_RATE)))
                continue
            offer = self.terms.offers[place]
            priced = price_one(offer.deck, Call(number, caller, self.lrn[i]), int(moment[0]), duration_ms, self.answered[i], offer.rules)
            found.append((by, offer, priced))
        return found

    def _b_raw(self, i: int) -> str:
        return self.values[self.row[i]].b_raw if self.row[i] >= 0 else ""

    # --- charges -----------------------------------------------------------------------------------------------------------------

    def purchases(self, i: int) -> list[Purchase]:
        """The charges of the attempt or leg that ended with a step."""
        leg = self.leg[i]
        start_ms = leg.at_ms if leg.answered else None
        return self._bought(i, leg.attempt_no, (leg.carrier, leg.trunk_group, leg.egress_trunk), start_ms, self.amounts.fault[i])

    def _bought(self, i: int, attempt_no: int, route: tuple[str, str, str], start_ms: int | None, fault: str = "") -> list[Purchase]:
        k = self.place[i]
        by, place, amount = self.bought[k], self.bought_by[k], self.amount.get((i, BUY))
        head = Purchase(attempt_no, by.party, by.agreement, *route, start_ms, self.amounts.buy_currency[i], fault)
        if amount is not None:
            return [msgspec.structs.replace(head, usage_nanos=amount)]
        if place < 0 or fault:
            return [head]
        return charged(head, self.terms.offers[place], one_of(self.buy, k, self.buy_segments), True)

    def charges(self, i: int, remembered: Sequence[Purchase]) -> list[tuple[Any, ...]]:
        """The rows of CHARGES of a call that has ended."""
        k, at = self.place[i], self.list_of
        head = (at("partition")[i], at("offset")[i], at("revision")[i], 0)
        where = (at("record_partition")[i], at("record_offset")[i], at("learned_ms")[i], self.tenant[i], self.call_key[i])
        answered, account, end_ms, version = self.answered[i], self.account[i], at("end_ms")[i], self.terms.version
        start_ms, setup_ms = self.at_ms[k] if answered else None, at("setup_ms")[i]

        def row(role: str, level: int, one: Purchase) -> tuple[Any, ...]:
            nanos = one.usage_nanos + one.connect_nanos + one.attempt_nanos + one.surcharge_nanos
            return (
                *head, role, level, one.attempt_no, one.segment, *where, one.party, account, one.carrier, one.trunk_group, one.egress_trunk,
                one.agreement, one.deck, one.deck_id, one.prefix, one.destination, one.start_ms, end_ms, setup_ms, start_ms, one.charged_s,
                one.per_min_nanos, one.usage_nanos, one.connect_nanos, one.attempt_nanos, one.surcharge_nanos, nanos, one.currency, one.fx,
                one.rounding, one.tax, "", version,
            )  # fmt: skip

        rows = [row(SELL, level, one) for level, sales in enumerate(self._sales(i, k, start_ms)) for one in sales]
        bought = list(remembered)
        failed, failed_no, attempts = at("failed")[i], at("failed_no")[i], at("attempts")[i]
        # A failed call's last attempt has a record of its own where the switch writes one per attempt: it is not bought twice.
        if not self.legs[i] and not self.buys[i] and (answered or max(failed, failed_no) < attempts) and (self.carrier[i] or (i, BUY) in self.amount):
            route = self.carrier[i], at("trunk_group")[i], at("egress_trunk")[i]
            bought += self._bought(i, own_attempt_no(attempts, failed, failed_no, answered), route, start_ms)
        # An attempt that costs nothing is a row of `attempts` alone.
        rows += [row(BUY, 0, one) for one in bought if one.start_ms is not None or one.attempt_nanos]
        return rows

    def _sales(self, i: int, k: int, start_ms: int | None) -> list[list[Purchase]]:
        """What each level owes, the customer first."""
        at = self.list_of
        route = at("carrier")[i], at("trunk_group")[i], at("egress_trunk")[i], start_ms
        was_sent = bool(self.carrier[i] or self.legs[i])  # to a carrier: only then is an attempt paid for
        customer = self.sold[k][0]
        head = Purchase(0, customer.party, customer.agreement, *route, self.amounts.sell_currency[i])
        place, amount = self.sold_by[k], self.amount.get((i, SELL))
        if amount is not None:
            charged_s = -(-(self.values[self.row[i]].duration_ms or 0) // 1000)
            sales = [[msgspec.structs.replace(head, charged_s=charged_s, usage_nanos=amount)]]
        elif place >= 0:
            sales = [charged(head, self.terms.offers[place], one_of(self.sell, k, self.sell_segments), was_sent)]
        else:
            sales = [[head]]
        for by, offer, priced in self._resellers(i, k) if len(self.sold[k]) > 1 else ():
            head = Purchase(0, by.party, by.agreement, *route, offer.currency if offer else "")
            sales.append(charged(head, offer, priced, was_sent) if offer else [head])
        return sales


def one_of(priced: Priced, k: int, segments: Mapping[int, tuple[Segment, ...]]) -> PricedOne:
    """The price in one place."""
    rate, charged_s, per_min, nanos, connect, attempt, surcharge = [int(column[k]) for column in priced]
    return PricedOne(rate, charged_s, per_min, nanos, connect, attempt, surcharge, segments.get(k, ()))


def charged(head: Purchase, offer: Offer, priced: PricedOne, attempts: bool) -> list[Purchase]:
    """The charges of a price: one, or one for each row of the deck that the call was charged by. `attempts`: with its attempt fee."""
    deck = offer.deck
    if priced.rate < 0:
        return [msgspec.structs.replace(head, deck=deck.name, deck_id=deck.deck_id)]
    found = []
    for segment, (start_ms, one) in enumerate(by_row(deck, priced, offer.rules.unit_ms)):
        purchase = msgspec.structs.replace(
            head, start_ms=None if head.start_ms is None else head.start_ms + start_ms, deck=deck.name, deck_id=deck.deck_id,
            prefix=deck.prefixes[one.rate], destination=deck.destinations[one.rate], charged_s=one.charged_s, per_min_nanos=one.per_min_nanos,
            usage_nanos=one.usage_nanos, connect_nanos=one.connect_nanos, surcharge_nanos=one.surcharge_nanos,
            attempt_nanos=one.attempt_nanos if attempts else 0, segment=segment, fx=offer.rules.fx_source, rounding=offer.rules.rounding,
            tax=offer.rules.tax,
        )  # fmt: skip
        found.append(purchase)
    return found


def _places(by: Sequence[Charged], at_ms: Ints) -> Ints:
    """The offer of each call: the one of its agreement, or of the agreement's plan at that time."""
    places = np.fromiter((one.offer for one in by), np.int64, len(by))
    planned: dict[int, list[int]] = {}  # by identity: to hash a plan with a rate of exchange per day costs more than to look it up
    for k in np.flatnonzero(places == PLANNED).tolist():
        planned.setdefault(id(by[k]), []).append(k)
    for rows in planned.values():
        begins, ends, offers = (np.asarray(column, np.int64) for column in zip(*by[rows[0]].plan, strict=True))
        at = np.searchsorted(begins, at_ms[rows], side="right") - 1
        places[rows] = np.where((at >= 0) & (at_ms[rows] < ends[at]), offers[at], NO_DECK)
    return places


def _moments(by: Sequence[Charged], answer_ms: Ints, setup_ms: Sequence[int | None], end_ms: Ints) -> Ints:
    """When the price list of each call's agreement is looked at."""
    if all(one.instant == "answer" for one in by):
        return answer_ms
    found = answer_ms.copy()
    for k, one in enumerate(by):
        if one.instant == "end":
            found[k] = end_ms[k]
        elif one.instant == "setup" and (at_ms := setup_ms[k]) is not None:
            found[k] = at_ms
    return found


def _why(side: str, deck: str, b_number: str, b_kind: str, b_raw: str, rate: int) -> str:
    if rate == OUT_OF_RANGE:
        return f"{side}: the amount is beyond the range of one call's money"
    if rate == REJECTED:
        return f"{side}: deck {deck} says that no call may go to {b_number}"
    assert rate == NO_RATE
    if not b_number or b_kind not in E164_KINDS:
        return _unreadable(f"{side}: ", b_number, b_kind, b_raw)
    return f"{side}: no rate for {b_number} in deck {deck}"


def _unreadable(side: str, b_number: str, b_kind: str, b_raw: str) -> str:
    """That a number is none, as it was written.

    >>> _unreadable("sell: ", "", "invalid", "43x")
    "sell: b_number is invalid, written '43x', not a number that a deck can price"
    """
    number = f"b_number {b_number}" if b_number else "b_number"
    written = f", written {b_raw[:40]!r}" if b_raw and b_raw != b_number else ""
    return f"{side}{number} is {b_kind or 'empty'}{written}, not a number that a deck can price"


def feed_amount(name: str, text: str, currency: str) -> tuple[int, str]:
    """An amount of a feed, in nanos, and its currency: without one it would be left out of every sum.

    >>> feed_amount("sell_amount", "0.5", "EUR")
    (500000000, 'EUR')
    """
    if not is_code(currency):
        said = (
            f"currency {currency[:40]!r} is not a code of three capitals such as EUR"
            if currency
            else "an amount without a currency"
        )
        raise ValueError(f"{name} {text[:40]}: {said}")
    try:
        return to_nanos(text), currency
    except ValueError as wrong:
        raise ValueError(f"{name}: {wrong}") from None
