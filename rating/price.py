"""The price of a call: exact integers, one rounding, twice spelled.

`price_all` prices columns; `price_one` is its scalar twin, for charging and for people; a property test holds the two together digit
by digit, and both to a model in exact fractions.

    billable = talk time to whole seconds (half up, or as the agreement says; an answered call has at least one), else 0
    free     where a tariff has a grace and billable is no longer than it
    charged  = the larger of billable and the shortest time, less the free seconds, in whole increments, step by step
    usage    = the sum of price * seconds / per, over the steps
    amount   = usage + connect fee + surcharge, within the least and the most of a call, + the attempt fee;
               converted, with tax where the agreement says so; rounded once, to the agreement's decimals

An increment is charged whole, at the price in force where it begins. Where a window or an effective date changes the price within a call,
the agreement says what counts: the call's start, the start of each increment, or each its own seconds (`split`: the increment that lies
on the change is divided by the second). Where no row is in force behind the change, the call goes on as before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.money import MAX_NANOS
from rating.deck import FOREVER_MS, Call, Calls, Deck, Moments
from rating.prefixes import Ints
from rating.rules import MILLION, Rules, rounded, whole_units, whole_units_all
from rating.tariff import NEVER_S, Tariff, TariffColumns

NO_RATE = -1
OUT_OF_RANGE = -2
REJECTED = -3
"""The row that fits allows no call there."""

RULES = Rules()


class Segment(NamedTuple):
    """Seconds of a call that one step of one row of a deck charges; of an agreement with a finer unit of time, all times are in that unit."""

    row: int
    step: int
    start_s: int  # of the charged time
    seconds: int
    increment_s: int  # in which they were charged
    price_nanos: int
    per_s: int


class Priced(NamedTuple):
    """One place per call. `rate` is the row of the deck, or `NO_RATE`, `OUT_OF_RANGE`, `REJECTED` (then the amounts are 0 and mean nothing).

    `nanos` is what the talk costs, rounded; `connect_nanos` and `surcharge_nanos` are parts of it, `attempt_nanos` comes on top.
    """

    rate: Ints
    charged_s: Ints
    per_min_nanos: Ints
    nanos: Ints
    connect_nanos: Ints
    attempt_nanos: Ints
    surcharge_nanos: Ints

    @property
    def usage_nanos(self) -> Ints:
        """What is left of the amount without its fees."""
        return self.nanos - self.connect_nanos - self.surcharge_nanos


class PricedOne(NamedTuple):
    """As `Priced`, of one call, with the segments that it is the sum of. Amounts of a party that is paid are negative."""

    rate: int
    charged_s: int = 0
    per_min_nanos: int = 0
    nanos: int = 0
    connect_nanos: int = 0
    attempt_nanos: int = 0
    surcharge_nanos: int = 0
    segments: tuple[Segment, ...] = ()

    @property
    def usage_nanos(self) -> int:
        """What is left of the amount without its fees."""
        return self.nanos - self.connect_nanos - self.surcharge_nanos


# --- one call --------------------------------------------------------------------------------------------------------------------------


def price_one(
    deck: Deck, call: Call, at_ms: int, duration_ms: int, answered: bool, rules: Rules = RULES, *, continued: bool = False
) -> PricedOne:
    """The price of one call, in Python's unbounded integers. `at_ms`: the moment whose price list counts. `continued`: the rest of a call of
    which a first part was charged before: no connect fee.

    >>> from rating.decks import read_deck
    >>> deck = read_deck(b"prefix,price_per_min,connect_fee,attempt_fee,first_s,next_s\\n43,0.06,0.01,0.001,1,1", "d", "EUR")
    >>> one = price_one(deck, Call("431234"), 0, 2004, True)
    >>> one.charged_s, one.usage_nanos, one.connect_nanos, one.attempt_nanos
    (2, 2000000, 10000000, 1000000)
    """
    row = deck.find(call, at_ms, rules)
    if row < 0:
        return PricedOne(NO_RATE)
    tariff = deck.tariff_of(row)
    if tariff.reject:
        return PricedOne(REJECTED)
    billable = max(whole_units(duration_ms, rules.seconds, rules.unit_ms), 1) if answered else 0
    is_free = billable == 0 or (not tariff.min_s and billable <= tariff.grace_s)
    to_charge = 0 if is_free else max(max(billable, tariff.min_s) - tariff.free_s, 0)
    if rules.change == "call_start" or not to_charge:
        segments = in_steps(row, tariff, to_charge)
    else:
        segments = in_changes(deck, call, rules, row, at_ms, to_charge)
    connect = 0 if is_free or continued else tariff.connect_nanos
    surcharge = tariff.surcharge_nanos if not is_free and billable > tariff.surcharge_after_s else 0
    least, most = (0, 0) if is_free else (tariff.min_nanos, tariff.max_nanos)
    return amount_of(PricedOne(row, 0, 0, 0, connect, tariff.attempt_nanos, surcharge, segments), least, most, tariff, rules)


def amount_of(parts: PricedOne, least: int, most: int | None, tariff: Tariff, rules: Rules) -> PricedOne:
    """The amount of a call from its segments and fees alone, in the deck's currency: what an explanation is checked by."""
    below, talk, charged_s = _denominator(parts.segments), 0, 0
    for segment in parts.segments:
        talk += segment.price_nanos * segment.seconds * (below // segment.per_s)
        charged_s += segment.seconds
    charged_s = _seconds(charged_s, rules.unit_ms)
    talk = max(talk + (parts.connect_nanos + parts.surcharge_nanos) * below, least * below)
    if most is not None:
        talk = min(talk, most * below)
    sign = -1 if tariff.reverse else 1
    nanos, attempt = talk, parts.attempt_nanos
    connect, surcharge = parts.connect_nanos, parts.surcharge_nanos
    if rules.is_plain:
        nanos = (2 * talk + below) // (2 * below)
    else:
        by, of = rules.fx[0] * (MILLION + rules.tax_ppm), rules.fx[1] * MILLION
        whole = rounded((talk + attempt * below) * by, below * of, rules.unit_nanos, rules.rounding_mode)
        connect, attempt, surcharge = (part * by // of for part in (connect, attempt, surcharge))
        nanos = whole - attempt
    if max(abs(nanos), attempt) > MAX_NANOS * 0.999:
        return PricedOne(OUT_OF_RANGE, charged_s)
    return PricedOne(
        parts.rate, charged_s, tariff.per_min_nanos, sign * nanos, sign * connect, sign * attempt, sign * surcharge, parts.segments
    )


def _denominator(segments: tuple[Segment, ...]) -> int:
    pers = {segment.per_s for segment in segments}
    return pers.pop() if len(pers) == 1 else lcm(*pers)


def _seconds(units: int, unit_ms: int) -> int:
    """Whole seconds of some units of time, a begun one as well."""
    return units if unit_ms == 1000 else -(-units * unit_ms // 1000)


def by_row(deck: Deck, one: PricedOne, unit_ms: int = 1000) -> list[tuple[int, PricedOne]]:
    """A price in parts, one for each row of the deck that the call was charged by in turn, with the ms at which it begins. The parts' sum
    is the price: usage is handed out by what each part alone would cost, rounded down, and the last part has the rest."""
    groups: list[list[Segment]] = []
    for segment in one.segments:
        if groups and groups[-1][-1].row == segment.row:
            groups[-1].append(segment)
        else:
            groups.append([segment])
    if len(groups) < 2:
        return [(0, one)]
    below = _denominator(one.segments)
    weights = [sum(s.price_nanos * s.seconds * (below // s.per_s) for s in group) for group in groups]
    usages = [one.usage_nanos * weight // (sum(weights) or 1) for weight in weights]
    usages[-1] = one.usage_nanos - sum(usages[:-1])
    found: list[tuple[int, PricedOne]] = []
    for group, usage in zip(groups, usages, strict=True):
        tariff = deck.tariff_of(group[0].row)
        fees = (0, 0, 0) if found else (one.connect_nanos, one.attempt_nanos, one.surcharge_nanos)
        start, end = group[0].start_s, group[-1].start_s + group[-1].seconds
        seconds = _seconds(end, unit_ms) - (_seconds(start, unit_ms) if found else 0)
        found.append((unit_ms * start, PricedOne(group[0].row, seconds, tariff.per_min_nanos, usage + fees[0] + fees[2], *fees, tuple(group))))
    return found


def in_steps(row: int, tariff: Tariff, to_charge: int) -> tuple[Segment, ...]:
    """Seconds in the steps of one row.

    >>> from rating.tariff import per_minute
    >>> [(s.start_s, s.seconds) for s in in_steps(0, per_minute(60, 30, 6), 61)]
    [(0, 30), (30, 36)]
    """
    found, at, steps = [], 0, tariff.steps
    last = len(steps) - 1
    for place, (_, price, per_s, increment_s) in enumerate(steps):
        if at >= to_charge:
            break
        until = to_charge
        if place < last:
            limit = steps[place + 1].start_s
            if limit <= at:
                continue
            until = limit if limit < to_charge or (not place and tariff.first_is_minimum) else to_charge
        seconds = -(-(until - at) // increment_s) * increment_s
        found.append(Segment(row, place, at, seconds, increment_s, price, per_s))
        at += seconds
    return tuple(found)


def in_changes(deck: Deck, call: Call, rules: Rules, row: int, at_ms: int, to_charge: int) -> tuple[Segment, ...]:
    """Seconds in the steps of the rows that are in force one after the other."""
    first = deck.tariff_of(row)
    found: list[Segment] = []

    def row_at(second: int) -> int:
        changed = deck.find(call, at_ms + rules.unit_ms * (first.free_s + second), rules)
        return changed if changed >= 0 and not deck.tariff_of(changed).reject else row

    row = row_at(0) if first.free_s else row
    at, border = 0, _border_s(deck, rules, at_ms, first.free_s, 0)
    while at < to_charge:
        while at >= border:
            row, border = row_at(border), _border_s(deck, rules, at_ms, first.free_s, border)
        tariff = deck.tariff_of(row)
        place = max(n for n, step in enumerate(tariff.steps) if step.start_s <= at)
        step = tariff.steps[place]
        until = min(to_charge, border)
        if place < len(tariff.steps) - 1:
            limit = tariff.steps[place + 1].start_s
            until = min(until, limit) if at or not first.first_is_minimum else limit
        seconds = -(-(until - at) // step.increment_s) * step.increment_s
        end = at + seconds
        while rules.change == "split" and at < border < end:  # the increment that lies on the change: each its own seconds
            _append(found, Segment(row, place, at, border - at, step.increment_s, step.price_nanos, step.per_s))
            at, was, row, border = border, row, row_at(border), _border_s(deck, rules, at_ms, first.free_s, border)
            if row != was:
                steps = deck.tariff_of(row).steps
                place = max(n for n, one in enumerate(steps) if one.start_s <= at)
                step = step._replace(price_nanos=steps[place].price_nanos, per_s=steps[place].per_s)
        _append(found, Segment(row, place, at, end - at, step.increment_s, step.price_nanos, step.per_s))
        at = end
    return tuple(found)


def _append(found: list[Segment], one: Segment) -> None:
    """A segment; where it goes on as the last one did, the last one is longer."""
    if found and found[-1][:2] == one[:2] and found[-1].increment_s == one.increment_s:
        found[-1] = found[-1]._replace(seconds=found[-1].seconds + one.seconds)
    else:
        found.append(one)


def _border_s(deck: Deck, rules: Rules, at_ms: int, free_s: int, after_s: int) -> int:
    """The first whole second (or unit) of the charged time that begins at or behind the next change, after such a second."""
    border_ms = deck.next_border_ms(at_ms + rules.unit_ms * (free_s + after_s), rules)
    return FOREVER_MS if border_ms >= FOREVER_MS else -(-(border_ms - at_ms) // rules.unit_ms) - free_s


# --- many calls ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Offer:
    """A deck by an agreement's rules: what calls are priced by."""

    deck: Deck
    rules: Rules = RULES

    @property
    def currency(self) -> str:
        """Of the amounts."""
        return self.rules.currency or self.deck.currency


def price_all(
    deck: Deck, calls: Calls, at_ms: Ints, duration_ms: Ints, answered: npt.NDArray[np.bool_], rules: Rules = RULES
) -> tuple[Priced, dict[int, tuple[Segment, ...]]]:
    """Price many calls by one deck. An unanswered call costs its attempt fee alone."""
    return price_by((Offer(deck, rules),), np.zeros(len(at_ms), np.int64), calls, at_ms, duration_ms, answered)


def price_by(
    offers: tuple[Offer, ...] | list[Offer], places: Ints, calls: Calls, at_ms: Ints, duration_ms: Ints, answered: npt.NDArray[np.bool_]
) -> tuple[Priced, dict[int, tuple[Segment, ...]]]:
    """As `price_all`, each call by its own offer: `places` in `offers`, negative = by none. Besides the amounts: the segments of those calls
    within which the price changed."""
    priced = Priced(np.full(len(places), NO_RATE, np.int64), *np.zeros((6, len(places)), np.int64))
    segments: dict[int, tuple[Segment, ...]] = {}
    order = np.argsort(places, kind="stable")
    for here in np.split(order, np.flatnonzero(np.diff(places[order])) + 1):
        if len(here) and places[here[0]] >= 0:
            _price(offers[places[here[0]]], here, calls, at_ms, duration_ms, answered, priced, segments)
    return priced, segments


def _price(
    offer: Offer, here: Ints, calls: Calls, at_ms: Ints, duration_ms: Ints, answered: npt.NDArray[np.bool_], priced: Priced,
    segments: dict[int, tuple[Segment, ...]],
) -> None:  # fmt: skip
    """The prices of the calls at `here`, by one offer."""
    deck, rules = offer.deck, offer.rules
    moments = Moments(at_ms[here], rules)
    rows = deck.find_all(calls, here, moments)
    found = rows >= 0
    if not found.all():
        here, rows, moments = here[found], rows[found], Moments(at_ms[here[found]], rules)
    if not len(here):
        return
    tariffs = deck.tariff_columns
    tariff = deck.tariff[rows]
    talks = answered[here]
    billable = np.where(talks, np.maximum(whole_units_all(duration_ms[here], rules.seconds, rules.unit_ms), 1), 0)
    if tariffs.all_plain:
        charged, whole, rest, below = _plain(tariffs, tariff, billable)
        attempt, surcharge = tariffs.attempt[tariff], np.zeros(len(here), np.int64)
        connect = np.where(talks, tariffs.connect[tariff], 0)
        reject, sign = None, None
        whole += connect
    else:
        is_free = (billable == 0) | ((tariffs.min_s[tariff] == 0) & (billable <= tariffs.grace_s[tariff]))
        to_charge = np.where(is_free, 0, np.maximum(np.maximum(billable, tariffs.min_s[tariff]) - tariffs.free_s[tariff], 0))
        charged, whole, rest, below = _stepped(tariffs, tariff, to_charge)
        attempt = tariffs.attempt[tariff]
        surcharge = np.where(~is_free & (billable > tariffs.surcharge_after_s[tariff]), tariffs.surcharge[tariff], 0)
        connect = np.where(is_free, 0, tariffs.connect[tariff])
        whole += connect + surcharge
        least, most = np.where(is_free, 0, tariffs.least[tariff]), np.where(is_free, 0, tariffs.most[tariff])
        rest = np.where((whole < least) | (whole >= most), 0, rest)
        whole = np.clip(whole, least, most)
        reject, sign = tariffs.reject[tariff], np.where(tariffs.reverse[tariff], -1, 1)
    # An upper bound in floating point: what comes near the end of the range is priced by the scalar twin, whose integers have no end.
    bound = tariffs.dearest[tariff] * (charged + 1.0) + connect + surcharge + attempt
    dear = np.maximum(bound, bound * (rules.fx[0] / rules.fx[1] * (1 + rules.tax_ppm / MILLION))) > MAX_NANOS * 0.01
    whole = np.where(dear, 0, whole)
    if rules.is_plain:
        nanos = whole + (2 * rest >= below)
    else:
        nanos, connect, attempt, surcharge = _converted(rules, whole, rest, below, connect, attempt, surcharge)
    charged_s = charged if rules.unit_ms == 1000 else -(-charged * rules.unit_ms // 1000)
    columns = (rows, charged_s, tariffs.per_min[tariff], nanos, connect, attempt, surcharge)
    for target, values in zip(priced, columns, strict=True):
        target[here] = values
    if sign is not None and (sign < 0).any():
        for target in priced[3:]:
            target[here] *= sign
    if reject is not None and reject.any():
        priced.rate[here[reject]] = REJECTED
        for target in priced[1:]:
            target[here[reject]] = 0
    again = dear if reject is None else dear & ~reject
    if rules.change != "call_start" and (deck.is_dated or deck.clock_s is not None):
        free_s = tariffs.free_s[tariff]
        lasts = at_ms[here] + rules.unit_ms * (charged + free_s)
        again = again | (talks & (deck.next_borders_ms(moments) < lasts) & (priced.rate[here] >= 0))
    for i in here[again].tolist():
        call = Call(calls.b_numbers[i], calls.a_numbers[i], calls.lrns[i])
        one = price_one(deck, call, int(at_ms[i]), int(duration_ms[i]), bool(answered[i]), rules)
        for target, value in zip(priced, one[:7], strict=True):
            target[i] = value
        if len({segment.row for segment in one.segments}) > 1:
            segments[i] = one.segments


def _plain(tariffs: TariffColumns, tariff: Ints, billable: Ints) -> tuple[Ints, Ints, Ints, Ints | int]:
    """Charged seconds, and what they cost: whole nanos, and a rest as a fraction of the denominator."""
    first_s, next_s, per_min = tariffs.first_s[tariff], tariffs.next_s[tariff], tariffs.per_min[tariff]
    beyond = np.maximum(billable - first_s, 0)
    charged = np.where(billable > 0, first_s + -(-beyond // next_s) * next_s, 0)
    minutes = charged // 60  # by a constant, `//` is ten times as fast as `divmod`
    part = per_min * (charged - 60 * minutes)
    whole = part // 60
    return charged, whole + per_min * minutes, part - 60 * whole, 60


def _stepped(tariffs: TariffColumns, tariff: Ints, to_charge: Ints) -> tuple[Ints, Ints, Ints, Ints | int]:
    """As `_plain`, step by step: as `in_steps`."""
    n = len(tariff)
    at, whole, rest, below = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64), tariffs.below[tariff]
    for place in range(tariffs.most_steps):
        limit, price, per_s, increment_s = (column[place][tariff] for column in (tariffs.limit, tariffs.price, tariffs.per, tariffs.increment))
        until = np.minimum(to_charge, limit)
        if not place:
            until = np.where(tariffs.first_is_minimum[tariff] & (to_charge > 0), np.where(limit < NEVER_S, limit, until), until)
        seconds = np.where(until > at, -(-(until - at) // increment_s) * increment_s, 0)
        units, left = np.divmod(seconds, per_s)
        part, remainder = np.divmod(price * left, per_s)
        whole += price * units + part
        rest += remainder * (below // per_s)
        at += seconds
    carried, rest = np.divmod(rest, below)
    return at, whole + carried, rest, below


def _converted(rules: Rules, whole: Ints, rest: Ints, below: Ints | int, *fees: Ints) -> tuple[Ints, ...]:
    """Amounts and fees (connect, attempt, surcharge) in the agreement's currency and rounding."""
    connect, attempt, surcharge = fees
    unit, mode = rules.unit_nanos, rules.rounding_mode
    by, of = rules.fx[0] * (MILLION + rules.tax_ppm), rules.fx[1] * MILLION
    if by == of:
        quotient, over = np.divmod(whole + attempt, unit)
        twice = 2 * (over * below + rest) - unit * below  # below is at most 2**31 (rating.tariff)
    else:  # products beyond 64 bits: Python's own integers
        big = below if isinstance(below, int) else below.astype(object)
        numerator, denominator = ((whole + attempt).astype(object) * big + rest) * by, big * of * unit
        quotient, over = numerator // denominator, numerator % denominator
        twice = 2 * over - denominator
        connect, attempt, surcharge = ((fee.astype(object) * by // of).astype(np.int64) for fee in fees)
    if mode == "up":
        more = (over > 0) | (rest > 0) if by == of else over > 0
    elif mode == "down":
        more = np.zeros(len(whole), np.bool_)
    else:
        more = (twice > 0) | ((twice == 0) & ((mode == "half_up") | (quotient % 2 == 1)))
    total = ((quotient + more.astype(np.int64)) * unit).astype(np.int64)
    return total - attempt, connect, attempt, surcharge
