"""What the calls should cost by our own price lists, at any time and for any duration: the ruler that both accounts are held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rating.contracts import PLANNED, Charged, Terms
from rating.deck import FOREVER_MS, Calls
from rating.prefixes import Ints
from rating.price import NO_RATE, Offer, price_by

HOUR_MS = 3_600_000
BORDER_DAYS = 62
"""How far from a call a change of the price list may lie to be taken for the cause of another price."""


class Prices(NamedTuple):
    """One place per call. `row` < 0 = no price."""

    row: Ints
    charged_s: Ints
    per_min_nanos: Ints
    nanos: Ints


@dataclass(frozen=True, eq=False)
class Plan:
    """Offers with the times from and until which each is in force, in their order."""

    spans: tuple[tuple[int, int, Offer], ...]
    currency: str = ""
    zone: str = "UTC"

    def prices(self, a_numbers: list[str], b_numbers: list[str], at_ms: Ints, duration_ms: Ints) -> Prices:
        """What answered calls cost.

        >>> from rating.decks import read_deck
        >>> plan = Plan(((-FOREVER_MS, FOREVER_MS, Offer(read_deck(b"prefix,price_per_min,first_s,next_s\\n43,0.06,60,60", "d", "EUR"))),))
        >>> plan.prices([""], ["431"], np.asarray([0]), np.asarray([61_000])).nanos.tolist()
        [120000000]
        """
        places = np.full(len(at_ms), -1, np.int64)
        for place, (from_ms, until_ms, _) in enumerate(self.spans):
            places[(from_ms <= at_ms) & (at_ms < until_ms)] = place
        calls = Calls(b_numbers, a_numbers)
        priced, _ = price_by([offer for *_, offer in self.spans], places, calls, at_ms, duration_ms, np.ones(len(at_ms), np.bool_))
        return Prices(priced.rate, priced.charged_s, priced.per_min_nanos, priced.nanos + priced.attempt_nanos)

    def borders_ms(self, around_ms: tuple[int, int]) -> list[int]:
        """When a price list, or one of its rows, begins or ends near a stretch of time."""
        first, last = around_ms[0] - BORDER_DAYS * 24 * HOUR_MS, around_ms[1] + BORDER_DAYS * 24 * HOUR_MS
        found = {border for from_ms, until_ms, _ in self.spans for border in (from_ms, until_ms)}
        found |= {border for *_, offer in self.spans for border in offer.deck.borders_ms.tolist()}
        return sorted(border for border in found if first <= border <= last)

    def rates_of(self, b_number: str, at_ms: Ints) -> set[int]:
        """The prices per minute that a number has at some moments."""
        found = self.prices([""] * len(at_ms), [b_number] * len(at_ms), at_ms, np.full(len(at_ms), 60_000, np.int64))
        return set(found.per_min_nanos[found.row >= 0].tolist())

    def has_windows(self) -> bool:
        """Whether any price depends on the time of day."""
        return any(offer.deck.clock_s is not None for *_, offer in self.spans)

    def rates_of_destinations(self, at_ms: int) -> dict[str, set[int]]:
        """Destination -> the prices per minute of its rows that are in force within a day of a moment, whatever their windows."""
        found: dict[str, set[int]] = {}
        for from_ms, until_ms, offer in self.spans:
            if not from_ms - 24 * HOUR_MS <= at_ms < min(until_ms, FOREVER_MS - 24 * HOUR_MS) + 24 * HOUR_MS:
                continue
            deck = offer.deck
            near: npt.NDArray[np.bool_] = (deck.from_ms <= at_ms + 24 * HOUR_MS) & (deck.to_ms > at_ms - 24 * HOUR_MS)
            rates = deck.per_min_nanos
            for row in np.flatnonzero(near).tolist():
                found.setdefault(deck.destinations[row], set()).add(int(rates[row]))
        return found


def plan_of(terms: Terms, charged: Charged) -> Plan:
    """The plan of a party's agreement, of a config version. Empty where nothing of ours prices its calls."""
    if charged.offer == PLANNED:
        spans = tuple((from_ms, until_ms, terms.offers[of]) for from_ms, until_ms, of in charged.plan)
    else:
        spans = ((-FOREVER_MS, FOREVER_MS, terms.offers[charged.offer]),) if charged.offer > NO_RATE else ()
    return Plan(spans, spans[0][2].currency if spans else "", spans[0][2].rules.time_zone if spans else "UTC")
