"""What calls that were made would have cost by another route plan.

Assumptions, which whoever shows the result must state (`ASSUMPTION`): a call that was answered would have been answered for as long by the first
gateway of the plan, and one that was not would not have been. Both ways are priced alike, net of tax, by the terms given, without the fees of
failed attempts: so the difference is that of the routes alone. How well carriers answer stands beside the money, and does not change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from core.numbering import country_code
from rating.deck import Calls
from rating.prefixes import Ints
from rating.price import Offer, price_by
from rating.routes.live import Live
from rating.routes.table import OPEN, Table

ASSUMPTION = "each call is answered, and for as long, as it was; the first gateway of the plan carries it"

CALLS = pl.Schema(
    {
        "b_number": pl.String,
        "a_number": pl.String,
        "lrn": pl.String,
        "carrier": pl.String,  # over which it went; "" = none
        "at_ms": pl.Int64,
        "talk_ms": pl.Int64,
        "answered": pl.Boolean,
    }
)

COMPARED = pl.Schema(
    {
        "currency": pl.String,
        "destination": pl.String,  # as the account's price list names it
        "was": pl.String,  # the carrier
        "carrier": pl.String,  # by the plan; "" = no route
        "status": pl.String,  # compared | no route | no sale price | no carrier | no price of CARRIER
        "sell_nanos": pl.Int64,
        "was_nanos": pl.Int64,  # what the carrier of then is paid by these terms
        "buy_nanos": pl.Int64,  # what the plan's is paid; 0 without a route
        "was_asr": pl.Float64,  # of that carrier at the destination; null = not measured
        "asr": pl.Float64,
    }
)


def what_if(table: Table, calls: pl.DataFrame, offers: Mapping[str, Offer], live: Live) -> pl.DataFrame:
    """One row of `COMPARED` per row of `CALLS`. `offers`: of the carriers that the calls went over, net of tax, in the view's currency.

    >>> from core.config import Account, Carrier, Config, RoutePlan, Trunk
    >>> from rating.contracts import compile_contracts
    >>> from rating.decks import read_deck
    >>> from rating.routes.durations import Durations
    >>> from rating.routes.table import compile_table
    >>> from rating.routes.view import offers_of, view_of
    >>> prices = {"s": "0.6", "a": "0.12", "b": "0.06"}
    >>> decks = {f"t/{n}": read_deck(f"prefix,price_per_min\\n43,{p}".encode(), n, "EUR") for n, p in prices.items()}
    >>> config = Config(
    ...     accounts=(Account(tenant="t", name="acme", sell_deck="s", route_plan="p"),), route_plans=(RoutePlan(tenant="t", name="p"),),
    ...     carriers=(Carrier(tenant="t", name="a", buy_deck="a"), Carrier(tenant="t", name="b", buy_deck="b")),
    ...     trunks=tuple(Trunk(tenant="t", name=n, carrier=n, address="192.0.2.1:5060") for n in "ab"),
    ...     decks={name: deck.deck_id for name, deck in decks.items()})
    >>> terms = compile_contracts(config, decks)
    >>> view = view_of(terms, "t", "acme", 0)
    >>> call = {"b_number": "431", "a_number": "", "lrn": "", "carrier": "a", "at_ms": 0, "talk_ms": 30_000, "answered": True}
    >>> calls = pl.DataFrame([call, call | {"b_number": "1"}], schema=CALLS)
    >>> found = what_if(compile_table(view, Live(), Durations()), calls, offers_of(terms, view, ["a"]), Live())
    >>> found.select("was", "carrier", "status", "sell_nanos", "was_nanos", "buy_nanos").rows()
    [('a', 'b', 'compared', 300000000, 60000000, 30000000), ('a', '', 'no sale price', 0, 0, 0)]
    """
    view = table.view
    numbers = Calls(*(calls[name].to_list() for name in ("b_number", "a_number", "lrn")))
    facts = calls["at_ms"].to_numpy(), calls["talk_ms"].to_numpy(), calls["answered"].to_numpy()

    def priced(by: Sequence[Offer], places: Ints) -> tuple[Ints, Ints]:
        found, _ = price_by(list(by), places, numbers, *facts)
        known = found.rate >= 0
        return np.where(known, found.nanos + found.attempt_nanos, 0), np.where(known, found.rate, -1)

    routed = table.find(numbers.by_lrn.codes)
    first = np.where(routed.outcome == OPEN, routed.entries[:, 0], -1)
    buys = [entry.offer for entry in view.entries]
    places = np.asarray([*np.cumsum([offer is not None for offer in buys]) - 1, -1], np.int64)  # in the offers that there are
    buy, bought = priced([offer for offer in buys if offer], places[first])
    sell, sold = priced([view.sell] if view.sell else [], np.full(len(first), 0 if view.sell else -1))
    carriers = list(offers)
    place_of = {name: at for at, name in enumerate(carriers)}
    then = calls["carrier"].to_list()
    was, paid = priced([offers[name] for name in carriers], np.asarray([place_of.get(name, -1) for name in then], np.int64))
    names = np.asarray([*(entry.carrier for entry in view.entries), ""], dtype=object)
    destinations = np.asarray([*(view.sell.deck.destinations if view.sell else ()), ""], dtype=object)
    now = names[first]
    why = np.where(sold < 0, "no sale price", np.where(paid < 0, [f"no price of {name}" if name else "no carrier" for name in then], "compared"))
    why = np.where((why == "compared") & (first < 0), "no route", why)
    why = np.where((why == "compared") & (bought < 0), [f"no price of {name}" for name in now], why)
    codes = [country_code(number) for number in numbers.by_lrn.b_numbers]

    def asrs(of: Sequence[str]) -> list[float | None]:
        pairs = {pair: live.standing(*pair).asr for pair in set(zip(of, codes, strict=True))}
        return [pairs[pair] for pair in zip(of, codes, strict=True)]

    return pl.DataFrame(
        {
            "currency": [view.currency] * len(then), "destination": destinations[sold].tolist(), "was": then, "carrier": now.tolist(),
            "status": why.tolist(), "sell_nanos": sell, "was_nanos": was, "buy_nanos": buy, "was_asr": asrs(then), "asr": asrs(now.tolist()),
        },
        schema=COMPARED,
    )  # fmt: skip


_COMPARED, _LOST = pl.col("status") == "compared", pl.col("status") == "no route"
_BOTH = _COMPARED & pl.col("was_asr").is_not_null() & pl.col("asr").is_not_null()


def sums(found: pl.DataFrame, by: str) -> pl.DataFrame:
    """What rows of `COMPARED` come to by currency and another column; money in whole nanos, beyond 64 bits.

    Calls whose money these terms cannot tell both ways (`status`) are left out. A call without a route is sold no more: it counts in `was_...`
    alone. `was_asr` and `asr` are means over the calls of which both are known (`measured` of them).
    """

    def money(name: str, of: pl.Expr) -> pl.Expr:
        return pl.col(name).cast(pl.Int128).filter(of).sum()

    either = _COMPARED | _LOST
    return (
        found.filter(either)
        .group_by("currency", by)
        .agg(
            pl.len().cast(pl.Int64).alias("calls"), _LOST.sum().cast(pl.Int64).alias("without_route"),
            (_COMPARED & (pl.col("was") != pl.col("carrier"))).sum().cast(pl.Int64).alias("moved"),
            money("sell_nanos", either).alias("was_sell_nanos"), money("sell_nanos", _COMPARED).alias("sell_nanos"),
            money("was_nanos", either).alias("was_buy_nanos"), money("buy_nanos", _COMPARED).alias("buy_nanos"),
            _BOTH.sum().cast(pl.Int64).alias("measured"), pl.col("was_asr").filter(_BOTH).sum(), pl.col("asr").filter(_BOTH).sum(),
        )
    )  # fmt: skip


def together(parts: Sequence[pl.DataFrame], by: str) -> pl.DataFrame:
    """Several answers of `sums` as one, with the margins, largest sale first."""
    summed = pl.concat(parts).group_by("currency", by).agg(pl.all().sum())
    share = pl.when(pl.col("measured") > 0).then(pl.col("was_asr", "asr") / pl.col("measured"))
    return summed.with_columns(
        (pl.col("was_sell_nanos") - pl.col("was_buy_nanos")).alias("was_margin_nanos"),
        (pl.col("sell_nanos") - pl.col("buy_nanos")).alias("margin_nanos"),
        share,
    ).sort("was_sell_nanos", "currency", by, descending=[True, False, False])
