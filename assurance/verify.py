"""Charges computed again from the facts of their calls, by the scalar twin of the price: once for each row of a deck and length of a call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from rating.contracts import PLANNED, Charged, Terms
from rating.deck import Call, Calls, Moments
from rating.prefixes import Ints
from rating.price import Offer, price_one
from rating.rules import whole_units_all


def recomputed(charges: pl.DataFrame, tenant: str, terms_of: Callable[[int], Terms]) -> pl.DataFrame:
    """The charges with `party` and `should_nanos`, null where there is no price for them in their config version.

    `charges`: `role`, `account`, `carrier`, `config_version`, `a_number`, `b_number`, `lrn`, `setup_ms`, `start_ms` (the answer), `duration_ms`,
    `nanos` (with the attempt fee), of answered calls that a deck priced. A purchase of nothing carries no attempt fee that could be missing.
    """
    should = np.zeros(charges.height, np.int64)
    known = np.zeros(charges.height, np.bool_)
    parties = np.full(charges.height, "", object)
    groups = charges.with_row_index("place").group_by("config_version", "role", "account", "carrier").agg("place")
    for version, role, account, carrier, places in groups.iter_rows():
        terms = terms_of(version)
        charged = terms.bought(tenant, carrier) if role == "buy" else terms.sold(tenant, account)[0]
        at = np.asarray(places)
        parties[at] = carrier if role == "buy" else account
        for offer, here, moments in _offers(charges, at, charged, terms):
            should[here], known[here] = _prices(charges[here], moments, offer)
    amounts = pl.Series("should_nanos", should)
    return charges.with_columns(
        pl.Series("party", parties.tolist(), dtype=pl.String), pl.select(pl.when(pl.Series(known)).then(amounts)).to_series().alias("should_nanos")
    )


def _offers(charges: pl.DataFrame, at: Ints, charged: Charged, terms: Terms) -> list[tuple[Offer, Ints, Ints]]:
    """The offers that price these charges, with the places and moments of each."""
    calls = charges[at].select("start_ms", "setup_ms", "duration_ms")
    answer = calls["start_ms"].to_numpy()
    moments = answer
    if charged.instant == "end":
        moments = answer + calls["duration_ms"].fill_null(0).to_numpy()
    elif charged.instant == "setup":
        moments = calls.select(pl.coalesce("setup_ms", "start_ms")).to_series().to_numpy()
    spans = charged.plan if charged.offer == PLANNED else ((-(2**62), 2**62, charged.offer),)
    found = []
    for from_ms, until_ms, place in spans:
        inside = (from_ms <= moments) & (moments < until_ms)
        if place >= 0 and inside.any():
            found.append((terms.offers[place], at[inside], moments[inside]))
    return found


def _prices(charges: pl.DataFrame, moments: Ints, offer: Offer) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    deck, rules = offer.deck, offer.rules
    numbers = charges["a_number"].to_list(), charges["b_number"].to_list(), charges["lrn"].to_list()
    calls = Calls(numbers[1], numbers[0], numbers[2])
    duration_ms = charges["duration_ms"].fill_null(0).to_numpy()
    row = deck.find_all(calls, np.arange(charges.height), Moments(moments, rules))
    seconds = whole_units_all(duration_ms, rules.seconds, rules.unit_ms)
    # Where the price may change within a call each is priced by itself; else calls of one row and length cost the same.
    alone = rules.change != "call_start" and (deck.is_dated or deck.clock_s is not None)
    key = np.arange(charges.height) if alone else row * 10_000_000 + np.clip(seconds, 0, 9_999_999)
    _, first, of = np.unique(key, return_index=True, return_inverse=True)
    amounts = np.zeros(len(first), np.int64)
    fine = np.zeros(len(first), np.bool_)
    for place, example in enumerate(first.tolist()):
        if row[example] >= 0:
            call = Call(numbers[1][example], numbers[0][example], numbers[2][example])
            one = price_one(deck, call, int(moments[example]), int(duration_ms[example]), True, rules)
            amounts[place], fine[place] = one.nanos + one.attempt_nanos, one.rate >= 0
    return amounts[of], fine[of]
