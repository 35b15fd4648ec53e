"""Both sides of each call: what it is sold for, and what its attempts are bought for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from core.calls import Work
from core.money import to_nanos
from core.schemas import RATED_DISPOSITION, UNRATED
from rating.contracts import NO_DECK, UNKNOWN, Contracts
from rating.prefixes import Ints, encode_all
from rating.price import NO_RATE, OUT_OF_RANGE, Priced, price_all


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


def rate(work: Work, records: pl.DataFrame, contracts_of: Callable[[int], Contracts]) -> Bill:
    """Price every row of `work` that has money. `records`: the decoded frame that `work.row` points into."""
    n = len(work)
    zeros = lambda: np.zeros(n, np.int64)  # noqa: E731
    bill = Bill(
        zeros(), zeros() - 1, zeros() - 1, zeros(), zeros(), zeros() - 1, zeros() - 1, zeros(), [""] * n, [""] * n, [""] * n
    )  # fmt: skip
    versions = np.asarray(work.config_version, np.int64)
    priced = np.asarray(work.priced, bool)
    for version in np.unique(versions[priced]):
        _rate_version(work, records, contracts_of(int(version)), np.flatnonzero(priced & (versions == version)), bill)
    for i in np.flatnonzero(np.asarray(work.final, bool)):
        if bill.fault[i] and work.disposition[i] == RATED_DISPOSITION:
            work.disposition[i], work.reason[i] = UNRATED, bill.fault[i]
    return bill


def _rate_version(work: Work, records: pl.DataFrame, contracts: Contracts, rows: Ints, bill: Bill) -> None:
    flights = [work.flight[i] for i in rows.tolist()]
    sell_deck = np.asarray([contracts.sell_place(f.tenant, f.account) for f in flights if f], np.int64)
    buy_deck = np.asarray([contracts.buy_place(f.tenant, f.carrier) for f in flights if f], np.int64)
    codes = encode_all(pl.Series([f.b_number for f in flights if f], dtype=pl.String))
    answered = np.asarray(work.answered, bool)[rows]
    duration = np.asarray(work.duration_ms, np.int64)[rows]
    # The rate of the moment of the answer prices the whole call; an attempt, of its own moment.
    at_ms = np.asarray(
        [f.answer_ms if f and f.answer_ms is not None else work.t_ms[i] for f, i in zip(flights, rows.tolist(), strict=True)], np.int64
    )
    for side, places in (("sell", sell_deck), ("buy", buy_deck)):
        for place in np.unique(places[places >= 0]):
            here = np.flatnonzero(places == place)
            deck = contracts.decks[int(place)]
            priced = price_all(deck, codes[here], at_ms[here], duration[here], answered[here])
            _write(bill, side, rows[here], int(place), deck.currency, priced)
    unknown_trunk = [
        bool(f and f.ingress_trunk) and not contracts.self_register and (f.tenant, f.ingress_trunk) not in contracts.trunks for f in flights if f
    ]
    amounts = _amounts(work, records, rows)
    for at, i in enumerate(rows.tolist()):
        flight = flights[at]
        assert flight is not None
        if amounts is not None:
            _stand(bill, i, flight.tenant, amounts, work.row[i], int(sell_deck[at]), int(buy_deck[at]))
        if bill.fault[i]:
            continue
        if sell_deck[at] == UNKNOWN:
            bill.fault[i] = (
                f"account {flight.account!r} is not known: add it and publish a new config version"
                if flight.account
                else "no ingress account: the caller's address belongs to no trunk"
            )
        elif unknown_trunk[at]:
            bill.fault[i] = f"ingress trunk {flight.ingress_trunk!r} is not known: add it and publish a new config version"
        elif buy_deck[at] == UNKNOWN:
            bill.fault[i] = f"carrier {flight.carrier!r} is not known: add it and publish a new config version"
        elif answered[at] and (sell_deck[at] >= 0 or buy_deck[at] >= 0):
            for side, place, rates in (("sell", sell_deck[at], bill.sell_rate), ("buy", buy_deck[at], bill.buy_rate)):
                if place >= 0 and rates[i] < 0 and not bill.fault[i]:
                    bill.fault[i] = _why(side, contracts.decks[int(place)].name, flight.b_number, flight.b_kind, int(rates[i]))
        elif answered[at] and sell_deck[at] == NO_DECK and not contracts.self_register and not bill.sell_currency[i]:
            bill.fault[i] = f"account {flight.account!r} has no sell deck and the record says no amount"
        if flight.fault and not bill.fault[i] and work.final[i]:
            bill.fault[i] = flight.fault


def _write(bill: Bill, side: str, rows: Ints, place: int, currency: str, priced: Priced) -> None:
    if side == "sell":
        bill.sell_nanos[rows], bill.sell_rate[rows], bill.sell_deck[rows] = priced.nanos, priced.rate, place
        bill.charged_s[rows] = priced.charged_s
        for i in rows.tolist():
            bill.sell_currency[i] = currency
    else:
        bill.buy_nanos[rows], bill.buy_rate[rows], bill.buy_deck[rows] = priced.nanos, priced.rate, place
        bill.attempt_nanos[rows] = priced.attempt_nanos
        for i in rows.tolist():
            bill.buy_currency[i] = currency


def _why(side: str, deck: str, b_number: str, b_kind: str, rate: int) -> str:
    if rate == OUT_OF_RANGE:
        return f"{side}: the amount is beyond the range of one call's money"
    assert rate == NO_RATE
    if not b_number:
        return f"{side}: b_number is {b_kind or 'empty'}, not a number that can be priced"
    return f"{side}: no rate for {b_number} in deck {deck}"


def _amounts(work: Work, records: pl.DataFrame, rows: Ints) -> tuple[list[str], list[str], list[str], list[int | None]] | None:
    if records.is_empty() or not (records["sell_amount"] != "").any() and not (records["buy_amount"] != "").any():
        return None
    return (
        records["sell_amount"].to_list(), records["buy_amount"].to_list(), records["currency"].to_list(), records["duration_ms"].to_list(),
    )  # fmt: skip


def _stand(
    bill: Bill, i: int, tenant: str, amounts: tuple[list[str], list[str], list[str], list[int | None]], row: int, sell_deck: int, buy_deck: int
) -> None:
    """A feed's own amounts stand as rated where we have no deck for the party."""
    if row < 0:
        return
    sells, buys, currencies, durations = amounts
    try:
        if sells[row] and sell_deck < 0:
            bill.sell_nanos[i], bill.sell_currency[i] = to_nanos(sells[row]), currencies[row]
            bill.charged_s[i] = -(-(durations[row] or 0) // 1000)
        if buys[row] and buy_deck < 0:
            bill.buy_nanos[i], bill.buy_currency[i] = to_nanos(buys[row]), currencies[row]
    except ValueError as wrong:
        bill.fault[i] = f"amount: {wrong}"
