"""Both sides of each call: what it is sold for, and what its attempts are bought for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from core.currencies import is_code
from core.money import to_nanos
from core.work import Work
from rating.contracts import NO_DECK, UNKNOWN, Terms
from rating.prefixes import Ints, encode_all
from rating.price import NO_RATE, OUT_OF_RANGE, Priced, find_rates, price_rates

PRICED_KINDS = ("e164", "national")
UNREADABLE = ("", "withheld", "invalid")
"""Kinds of a b_number that says nothing: what was talked to it is money that nobody can tell, whoever rated it elsewhere."""


@dataclass
class Bill:
    """A place a row of Work. Sell and buy are cumulative: the whole call so far, in nanos; what its detectors are told is the difference.

    `*_rate` is the place in the deck of `*_deck`, -1 = none.
    """

    sell_nanos: Ints
    sell_deck: Ints
    sell_rate: Ints
    charged_s: Ints
    buy_nanos: Ints  # talk of the answering attempt
    buy_deck: Ints
    buy_rate: Ints
    attempt_nanos: Ints  # this attempt's fee
    sell_currency: list[str]
    buy_currency: list[str]
    fault: list[str]  # why its money cannot be told; "" = it can


def rate(work: Work, records: pl.DataFrame, contracts: Terms) -> Bill:
    """Price every row of `work` that has money. `records`: the decoded frame that `work.row` points into."""
    n = len(work)
    bill = Bill(
        sell_nanos=np.zeros(n, np.int64), sell_deck=np.full(n, -1, np.int64), sell_rate=np.full(n, -1, np.int64),
        charged_s=np.zeros(n, np.int64), buy_nanos=np.zeros(n, np.int64), buy_deck=np.full(n, -1, np.int64),
        buy_rate=np.full(n, -1, np.int64), attempt_nanos=np.zeros(n, np.int64),
        sell_currency=[""] * n, buy_currency=[""] * n, fault=[""] * n,
    )  # fmt: skip
    rows = np.flatnonzero(np.asarray(work.priced, bool))
    if not len(rows):
        return bill
    at = rows.tolist()
    parties = [(flight.tenant, work.account[i], work.carrier[i], work.ingress_trunk[i]) for i in at if (flight := work.flight[i])]
    sold_by = np.asarray([contracts.sell_place(tenant, account) for tenant, account, _, _ in parties], np.int64)
    bought_by = np.asarray([contracts.buy_place(tenant, carrier) for tenant, _, carrier, _ in parties], np.int64)
    # A short number is no prefix: 112 is not a call to the USA, 911 none to Delhi.
    codes = encode_all(pl.Series([work.b_number[i] if work.b_kind[i] in PRICED_KINDS else "" for i in at], dtype=pl.String))
    answered = np.asarray(work.answered, bool)[rows]
    duration = np.asarray(work.duration_ms, np.int64)[rows]
    # The rate of the moment of the answer prices the whole call; an attempt, of its own moment.
    at_ms = np.asarray(work.rate_at_ms, np.int64)[rows]
    currencies = [*(deck.currency for deck in contracts.decks), ""]  # -1, no deck, is the last
    suspicious = np.zeros(len(at), bool)
    for side, places in (("sell", sold_by), ("buy", bought_by)):
        priced = _price(contracts, places, codes, at_ms, duration, answered)
        _write(bill, side, rows, places, priced, currencies)
        suspicious |= (places == UNKNOWN) | (answered & (places >= 0) & (priced.rate < 0))
    if not contracts.self_register:
        trunks = contracts.trunks
        suspicious |= np.asarray([bool(trunk) and (tenant, trunk) not in trunks for tenant, _, _, trunk in parties], bool)
        suspicious |= answered & (sold_by == NO_DECK)
    if contracts.sell_amount_expected:
        suspicious |= answered & (sold_by == NO_DECK)
    suspicious |= answered & np.asarray([work.final[i] and work.b_kind[i] in UNREADABLE for i in at], bool)
    amounts = _amounts(records)
    if amounts is not None:
        for i, sold, bought in zip(at, sold_by.tolist(), bought_by.tolist(), strict=True):
            _stand(bill, i, amounts, work.row[i], sold, bought)
    for place in np.flatnonzero(suspicious).tolist():
        i = at[place]
        if not bill.fault[i]:
            bill.fault[i] = _fault(bill, work, i, parties[place][0], int(sold_by[place]), int(bought_by[place]), contracts, records)
    return bill


class OwnRates(NamedTuple):
    """The rate of each call beside the others', so that calls of several decks are priced at once (`rating.price.Rates`)."""

    per_min_nanos: Ints
    connect_nanos: Ints
    attempt_nanos: Ints
    first_s: Ints
    next_s: Ints


RATE_COLUMNS = OwnRates._fields


def _price(
    contracts: Terms, places: Ints, codes: Ints, at_ms: Ints, duration_ms: Ints, answered: npt.NDArray[np.bool_]
) -> Priced:
    """Find each call's rate in its own deck, then price them all at once. The rates that come back are places in the own deck."""
    rate = np.full(len(places), NO_RATE, np.int64)
    rates = np.ones((len(RATE_COLUMNS), max(1, len(places))), np.int64)
    for place in np.unique(places[places >= 0]).tolist():
        here = np.flatnonzero(places == place)
        deck = contracts.decks[place]
        found = rate[here] = find_rates(deck, codes[here], at_ms[here])
        priced_here, at = here[found >= 0], found[found >= 0]
        for row, name in enumerate(RATE_COLUMNS):
            rates[row, priced_here] = getattr(deck, name)[at]
    priced = price_rates(OwnRates(*rates), np.where(rate >= 0, np.arange(len(rate)), rate), duration_ms, answered)
    return priced._replace(rate=np.where(priced.rate >= 0, rate, priced.rate))


def _fault(
    bill: Bill, work: Work, i: int, tenant: str, sold_by: int, bought_by: int, contracts: Terms, records: pl.DataFrame
) -> str:
    """Why a row's money cannot be told, or ""."""
    account, trunk, carrier = work.account[i], work.ingress_trunk[i], work.carrier[i]
    mend = "add it and publish a new config version"
    if sold_by == UNKNOWN:
        return f"account {account!r} is not known: {mend}" if account else "no ingress account: the caller's address belongs to no trunk"
    if trunk and not contracts.self_register and (tenant, trunk) not in contracts.trunks:
        return f"ingress trunk {trunk!r} is not known: {mend}"
    if bought_by == UNKNOWN:
        return f"carrier {carrier!r} is not known: {mend}"
    if not work.answered[i]:
        return ""
    if work.b_kind[i] == "emergency":
        return ""  # nobody pays for it
    for side, place, rates in (("sell", sold_by, bill.sell_rate), ("buy", bought_by, bill.buy_rate)):
        if place >= 0 and rates[i] < 0:
            b_raw = _raw(work, i, records)
            return _why(side, contracts.decks[place].name, work.b_number[i], work.b_kind[i], b_raw, int(rates[i]))
    if work.final[i] and work.b_kind[i] in UNREADABLE:
        return _unreadable("", work.b_number[i], work.b_kind[i], _raw(work, i, records))
    if sold_by == NO_DECK and not contracts.self_register and not bill.sell_currency[i] and work.final[i]:
        return f"account {account!r} has no sell deck and the record says no amount"
    if work.final[i] and sold_by == NO_DECK and not bill.sell_currency[i] and contracts.sell_amount_expected:
        return "answered, the row says no sell_amount, and no deck prices the call"
    return ""


def _write(bill: Bill, side: str, rows: Ints, places: Ints, priced: Priced, currencies: list[str]) -> None:
    decks = np.maximum(places, -1)
    names = [currencies[place] for place in decks.tolist()]
    if side == "sell":
        bill.sell_nanos[rows], bill.sell_rate[rows], bill.sell_deck[rows] = priced.nanos, priced.rate, decks
        bill.charged_s[rows] = priced.charged_s
        for i, name in zip(rows.tolist(), names, strict=True):
            bill.sell_currency[i] = name
    else:
        bill.buy_nanos[rows], bill.buy_rate[rows], bill.buy_deck[rows] = priced.nanos, priced.rate, decks
        bill.attempt_nanos[rows] = priced.attempt_nanos
        for i, name in zip(rows.tolist(), names, strict=True):
            bill.buy_currency[i] = name


def _why(side: str, deck: str, b_number: str, b_kind: str, b_raw: str, rate: int) -> str:
    if rate == OUT_OF_RANGE:
        return f"{side}: the amount is beyond the range of one call's money"
    assert rate == NO_RATE
    if not b_number or b_kind not in PRICED_KINDS:
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


def _raw(work: Work, i: int, records: pl.DataFrame) -> str:
    return str(records["b_raw"][work.row[i]]) if work.row[i] >= 0 else ""


Amounts = tuple[list[str], list[str], list[str], list[str], list[int | None]]


def _amounts(records: pl.DataFrame) -> Amounts | None:
    if not ((records["sell_amount"] != "") | (records["buy_amount"] != "")).any():
        return None
    return (
        records["sell_amount"].to_list(), records["buy_amount"].to_list(), records["currency"].to_list(), records["buy_currency"].to_list(),
        records["duration_ms"].to_list(),
    )  # fmt: skip


def _stand(bill: Bill, i: int, amounts: Amounts, row: int, sell_deck: int, buy_deck: int) -> None:
    """A feed's own amounts stand as rated where we have no deck for the party."""
    if row < 0:
        return
    sells, buys, currencies, buy_currencies, durations = amounts
    try:
        if sells[row] and sell_deck < 0:
            bill.sell_nanos[i], bill.sell_currency[i] = _amount("sell_amount", sells[row], currencies[row])
            bill.charged_s[i] = -(-(durations[row] or 0) // 1000)
        if buys[row] and buy_deck < 0:
            bill.buy_nanos[i], bill.buy_currency[i] = _amount("buy_amount", buys[row], buy_currencies[row] or currencies[row])
    except ValueError as wrong:
        bill.fault[i] = str(wrong)


def _amount(name: str, text: str, currency: str) -> tuple[int, str]:
    """An amount that a feed says, in nanos, and its currency: without one it would be left out of every sum.

    >>> _amount("sell_amount", "0.5", "EUR")
    (500000000, 'EUR')
    """
    if not is_code(currency):
        said = f"currency {currency[:40]!r} is not a code of three capitals such as EUR" if currency else "an amount without a currency"
        raise ValueError(f"{name} {text[:40]}: {said}")
    try:
        return to_nanos(text), currency
    except ValueError as wrong:
        raise ValueError(f"{name}: {wrong}") from None
