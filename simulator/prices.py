"""What the calls of a town cost: by the same decks and the same rule as live, in columns."""

from __future__ import annotations

import numpy as np
import polars as pl

from core.config import Account, Carrier, Config
from rating.deck import Calls
from rating.price import Offer, price_by
from simulator.decks import OFFERS, deck
from simulator.town import CARRIERS, HABITS, SUBSCRIBER, TENANT_OF, TENANTS, Town

SELL = {
    "office": "sell-business", "home": "sell-retail", "callcentre": "sell-wholesale", "callshop": "sell-retail", "wholesale": "sell-wholesale",
    "subscriber": "sell-retail",
}  # fmt: skip
DEFAULT_SELL = "sell-retail"
BUY = {"alpha": "buy-alpha", "bravo": "buy-bravo", "charlie": "buy-charlie", "delta": "buy-bravo", "echo": "buy-charlie"}


def config(town: Town) -> Config:
    """The config by which the town's calls are priced; subscribers register themselves, with the retail deck."""
    named = [account for account in range(len(town.names)) if town.habit[account] != SUBSCRIBER]
    return Config(
        version=1, self_register=True, default_sell_deck=DEFAULT_SELL, decks={name: deck(name).deck_id for name in OFFERS},
        accounts=tuple(
            Account(tenant=TENANTS[TENANT_OF[town.habit[one]]], name=town.names[one], sell_deck=SELL[HABITS[town.habit[one]]])
            for one in named
        ),
        carriers=tuple(Carrier(tenant=tenant, name=name, buy_deck=BUY[name]) for tenant in TENANTS for name in CARRIERS),
    )  # fmt: skip


def priced(frame: pl.DataFrame, prices: Config) -> pl.DataFrame:
    """The frame with `sell_nanos`, `buy_nanos` and `loss_nanos`: the price of the call, unless the family set another loss.

    Accounts that the config does not name are sold by its default deck.
    """
    talks = frame["talk_ms"].is_not_null().to_numpy()
    rows = frame.filter(pl.Series(talks))
    named = pl.DataFrame(
        [(one.tenant, one.name, one.sell_deck) for one in prices.accounts], schema=("tenant", "account", "sold"), orient="row"
    )
    sold = rows.select("tenant", "account").join(named, on=["tenant", "account"], how="left", maintain_order="left")["sold"]
    sold = sold.fill_null(prices.default_sell_deck)
    bought = rows["carrier"].replace_strict({one.name: one.buy_deck for one in prices.carriers})
    numbers = Calls(rows["b_number"].to_list())
    answer_ms = rows.select(pl.col("setup_ms") + pl.col("pdd_ms") + pl.col("ring_ms")).to_series().to_numpy()
    columns = []
    for name, chosen in (("sell_nanos", sold), ("buy_nanos", bought)):
        offers = [Offer(deck(one)) for one in OFFERS]
        place = chosen.replace_strict({one: at for at, one in enumerate(OFFERS)}, return_dtype=pl.Int64).to_numpy()
        amounts, _ = price_by(offers, place, numbers, answer_ms, rows["talk_ms"].to_numpy(), np.ones(rows.height, np.bool_))
        every = np.zeros(frame.height, np.int64)
        every[talks] = amounts.nanos
        columns.append(pl.Series(name, every))
    frame = frame.with_columns(columns)
    own = (pl.col("loss_eur") * 1e9).round(0).cast(pl.Int64)
    return frame.with_columns(loss_nanos=pl.when(pl.col("episode") == "").then(0).otherwise(pl.coalesce(own, "sell_nanos")))
