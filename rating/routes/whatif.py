"""What calls that were made would have cost by another route plan.

Assumptions, which whoever shows the result must state: a call that was answered would have been answered for as long by the first gateway of the
plan, and one that was not would not have been; nothing is known of quality. So money and margin are those of prices and orders alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from rating.deck import Calls
from rating.prefixes import Ints
from rating.price import price_by
from rating.routes.table import OPEN, Bools, Table

ASSUMPTION = "each call is answered, and for as long, as it was; the first gateway of the plan carries it"


def what_if(
    table: Table, b_numbers: Sequence[str], a_numbers: Sequence[str], at_ms: Ints, talk_ms: Ints, answered: Bools
) -> pl.DataFrame:
    """One row per call: `carrier` ("" = no route), `outcome` (of `rating.routes.table`), `sell_nanos`, `buy_nanos` (in the view's currency, net
    of tax; 0 where there is no price), `destination` as the account's price list names it.

    >>> from core.config import Account, Carrier, Config, RoutePlan, Trunk
    >>> from rating.contracts import compile_contracts
    >>> from rating.decks import read_deck
    >>> from rating.routes.durations import Durations
    >>> from rating.routes.live import Live
    >>> from rating.routes.table import compile_table
    >>> from rating.routes.view import view_of
    >>> prices = {"s": "0.6", "a": "0.12", "b": "0.06"}
    >>> decks = {f"t/{n}": read_deck(f"prefix,price_per_min\\n43,{p}".encode(), n, "EUR") for n, p in prices.items()}
    >>> config = Config(
    ...     accounts=(Account(tenant="t", name="acme", sell_deck="s", route_plan="p"),), route_plans=(RoutePlan(tenant="t", name="p"),),
    ...     carriers=(Carrier(tenant="t", name="a", buy_deck="a"), Carrier(tenant="t", name="b", buy_deck="b")),
    ...     trunks=tuple(Trunk(tenant="t", name=n, carrier=n, address="192.0.2.1:5060") for n in "ab"),
    ...     decks={name: deck.deck_id for name, deck in decks.items()})
    >>> table = compile_table(view_of(compile_contracts(config, decks), "t", "acme", 0), Live(), Durations())
    >>> what_if(table, ["431", "1"], ["", ""], np.zeros(2, np.int64), np.asarray([30_000, 30_000]), np.ones(2, np.bool_)).rows()
    [('b', 0, 300000000, 30000000, ''), ('', 2, 0, 0, '')]
    """
    view, n = table.view, len(b_numbers)
    calls = Calls(b_numbers, a_numbers)
    routed = table.find(calls.codes)
    first = np.where(routed.outcome == OPEN, routed.entries[:, 0], -1)
    offers = [entry.offer or view.sell for entry in view.entries]
    bought, _ = price_by([offer for offer in offers if offer], np.where(first >= 0, first, -1), calls, at_ms, talk_ms, answered)
    sell = [view.sell] if view.sell else []
    sold, _ = price_by(sell, np.where((first >= 0) & bool(sell), 0, -1), calls, at_ms, talk_ms, answered)
    names = np.asarray([*(entry.carrier for entry in view.entries), ""], dtype=object)
    destinations = np.asarray([*(view.sell.deck.destinations if view.sell else ()), ""], dtype=object)
    assert len(first) == n
    return pl.DataFrame(
        {
            "carrier": names[first].tolist(),
            "outcome": routed.outcome,
            "sell_nanos": np.where(sold.rate >= 0, sold.nanos + sold.attempt_nanos, 0),
            "buy_nanos": np.where(bought.rate >= 0, bought.nanos + bought.attempt_nanos, 0),
            "destination": destinations[np.where(sold.rate >= 0, sold.rate, -1)].tolist(),
        },
        schema={"carrier": pl.String, "outcome": pl.Int64, "sell_nanos": pl.Int64, "buy_nanos": pl.Int64, "destination": pl.String},
    )


def by_destination(calls: pl.DataFrame) -> pl.DataFrame:
    """The sums of `what_if` by destination, the largest sale first, each in whole nanos."""
    sums = calls.group_by("destination").agg(
        pl.len().alias("calls"),
        (pl.col("carrier") == "").sum().alias("without_route"),
        pl.col("sell_nanos", "buy_nanos").sum(),
    )
    margin = (pl.col("sell_nanos") - pl.col("buy_nanos")).alias("margin_nanos")
    return sums.with_columns(margin).sort("sell_nanos", "destination", descending=[True, False])
