"""Charges computed again from the facts of their calls, by the scalar twin of the price: once for each row of a deck and length of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    parties = pl.when(pl.col("role") == "buy").then(pl.col("carrier")).otherwise(pl.col("account")).alias("party")
    charges = charges.with_columns(parties)
    groups = charges.with_row_index("place").group_by("config_version", "role", "party").agg("place")
    # Parties that are priced alike are priced together: most of them share a few decks.
    alike: dict[tuple[int, int, tuple[tuple[int, int, int], ...], str], tuple[Charged, list[Ints]]] = {}
    for version, role, party, places in groups.iter_rows():
        terms = terms_of(version)
        charged = terms.bought(tenant, party) if role == "buy" else terms.sold(tenant, party)[0]
        key = version, charged.offer, charged.plan, charged.instant
        alike.setdefault(key, (charged, []))[1].append(np.asarray(places))
    for (version, *_), (charged, several) in alike.items():
        for offer, here, moments in _offers(charges, np.concatenate(several), charged, terms_of(version)):
            should[here], known[here] = _prices(charges[here], moments, offer)
    amounts = pl.Series("should_nanos", should)
    return charges.with_columns(pl.select(pl.when(pl.Series(known)).then(amounts)).to_series().alias("should_nanos"))


STATES = pl.Schema({"state": pl.String, "role": pl.String, "party": pl.String, "deck": pl.String, "currency": pl.String, "charges": pl.Int64,
    "nanos": pl.Int64, "call_key": pl.String})  # fmt: skip
"""Charges that were computed again, by `state`: right, wrong or unknown. `nanos`: how much more is stored than computed."""

_CHARGE = ("offset", "role", "attempt_no")


def verified(charges: pl.DataFrame, calls: pl.DataFrame, tenant: str, terms_of: Callable[[int], Terms]) -> pl.DataFrame:
    """Of a slice's charges (`assurance.controls.by_call`), those that a deck priced, computed again and added up (`STATES`)."""
    asked = (pl.col("level") == 0) & pl.col("start_ms").is_not_null() & (pl.col("deck") != "")
    whole = charges.group_by(_CHARGE).agg(pl.col("nanos").sum().alias("all_nanos"), pl.col("start_ms").min().alias("begin_ms"))
    if whole.height < charges.height:  # a call that two rates priced is one charge here
        charges = charges.join(whole, on=_CHARGE).unique(_CHARGE, keep="first", maintain_order=True).with_columns(
            pl.col("all_nanos").alias("nanos"), pl.col("begin_ms").alias("start_ms"))
    facts = calls.select("offset", "a_number", "b_number", "lrn", "setup_ms", "duration_ms")
    priced = recomputed(charges.filter(asked).join(facts, on="offset"), tenant, terms_of)
    should, nanos = pl.col("should_nanos"), pl.col("nanos")
    state = pl.when(should.is_null()).then(pl.lit("unknown")).when(should == nanos).then(pl.lit("right")).otherwise(pl.lit("wrong"))
    named = [pl.when(pl.col("state") == "wrong").then(pl.col(name)).otherwise(pl.lit("")).alias(name) for name in ("party", "deck", "currency")]
    return priced.with_columns(state.alias("state")).group_by("state", "role", *named).agg(
        pl.len().cast(pl.Int64).alias("charges"), (nanos - should).sum().alias("nanos"), pl.col("call_key").first()
    ).select(*STATES).cast(STATES)


def merged(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The charges of several slices, added up."""
    found = pl.concat([pl.DataFrame(schema=STATES), *parts])
    return found.group_by("state", "role", "party", "deck", "currency").agg(pl.col("charges", "nanos").sum(), pl.col("call_key").first())


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
