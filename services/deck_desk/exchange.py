"""Prices of one currency beside those of another: at the dated rate of the config, which is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from core.config import FxRate
from rating.offers.compare import Rates
from rating.offers.merge import Columns
from rating.prefixes import Ints
from rating.rules import Rules, rounded
from services.in_force import View


class Rate(NamedTuple):
    """What one unit of a currency is worth in `currency`, and where that is said."""

    value: Fraction
    currency: str
    text: str

    @property
    def rules(self) -> Rules:
        """By which calls are priced in it."""
        return Rules(fx=self.value.as_integer_ratio(), fx_source=self.text, currency=self.currency)


def rate(view: View, tenant: str, currency: str, wanted: str, at_ms: int) -> Rate | None:
    """The rate of the day from `fx_rates`, or the inverse of the one that goes the other way; None = the config has none of that day."""
    day = f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"
    for pair, inverse in ((f"{currency}-{wanted}", False), (f"{wanted}-{currency}", True)):
        row: FxRate | None = view.find("fx_rates", tenant, pair) or view.find("fx_rates", "", pair)
        last = max((one for one in row.rates if one <= day), default="") if row else ""
        if row and last:
            value = Fraction(Decimal(row.rates[last]))
            text = " ".join(filter(None, (pair, row.rates[last], "of", last, row.source)))
            return Rate(1 / value if inverse else value, wanted, text + " (the inverse)" * inverse)
    return None


def converted(rates: Rates, at: Rate) -> Columns:
    """Prices and fees in the currency of a rate, each half up at 1e-9: to be compared, not to be charged."""

    def of(column: Ints) -> Ints:
        values, places = np.unique(column, return_inverse=True)
        numerator, denominator = at.value.as_integer_ratio()
        made = np.asarray([rounded(value * numerator, denominator, 1, "half_up") for value in values.tolist()], np.int64)
        found: Ints = made[places]
        return found

    return Columns(
        tuple(rates.prefixes), tuple(rates.destinations), of(rates.per_min_nanos), of(rates.connect_nanos), of(rates.attempt_nanos), rates.first_s,
        rates.next_s, rates.from_ms, rates.to_ms, rates.labels,
    )  # fmt: skip
