"""Swap deals: two carriers send each other traffic, each commits minutes to the other at agreed prices, and only the difference is paid.

Each side of a period comes to: the committed minutes that were sent at the agreed price, those beyond them at the price of excess, and those that are
missing at the price of shortfall. Calls stay priced by their decks; what the deal makes of them besides is the side's true-up.
"""

from __future__ import annotations

import msgspec

from core.billing import Swap, SwapSide
from core.money import divide_half_up


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a period. Nanos are texts: they may be wider than JSON's numbers are read."""

    committed_s: int
    charged_s: int
    by_decks: str
    by_deal: str

    @property
    def excess_s(self) -> int:
        return max(self.charged_s - self.committed_s, 0)

    @property
    def shortfall_s(self) -> int:
        return max(self.committed_s - self.charged_s, 0)

    @property
    def deal_nanos(self) -> int:
        return int(self.by_deal)

    @property
    def true_up_nanos(self) -> int:
        """What the deal adds to the calls, or takes off them."""
        return int(self.by_deal) - int(self.by_decks)


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides of a period. `sold`: what they sent to us, and owe; `bought`: what we sent to them, and owe. `buys`: the agreement of `bought`."""

    buys: str
    sold: Side
    bought: Side

    @property
    def net_nanos(self) -> int:
        """> 0: they owe us."""
        return self.sold.deal_nanos - self.bought.deal_nanos


def side_of(deal: SwapSide, charged_s: int, by_decks_nanos: int) -> Side:
    """A side of a period, from the seconds and the money of its calls.

    A thousand minutes are committed at 0.01; 1,100 came, of which 100 cost 0.02; or 900 came, and each of the 100 missing costs 0.005.

    >>> deal = SwapSide(committed_s=60_000, per_minute_nanos=10_000_000, excess_per_minute_nanos=20_000_000, shortfall_per_minute_nanos=5_000_000)
    >>> side_of(deal, 66_000, 11_000_000_000).deal_nanos, side_of(deal, 54_000, 9_000_000_000).deal_nanos
    (12000000000, 9500000000)
    >>> side_of(deal, 54_000, 9_000_000_000).true_up_nanos
    500000000
    """
    excess_s, shortfall_s = max(charged_s - deal.committed_s, 0), max(deal.committed_s - charged_s, 0)
    products = (charged_s - excess_s) * deal.per_minute_nanos + excess_s * deal.excess_per_minute_nanos
    products += shortfall_s * deal.shortfall_per_minute_nanos
    nanos = divide_half_up(products, 60)
    return Side(committed_s=deal.committed_s, charged_s=charged_s, by_decks=str(by_decks_nanos), by_deal=str(nanos))


def settled(deal: Swap, sold: tuple[int, int], bought: tuple[int, int]) -> Settlement:
    """The settlement of a period; `sold` and `bought`: charged seconds and nanos by the decks."""
    return Settlement(buys=deal.buys, sold=side_of(deal.they_send, *sold), bought=side_of(deal.we_send, *bought))
