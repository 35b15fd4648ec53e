"""What is earned and lost by carrier and destination, and how good each carrier is."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from services.subjects import Ask
from warehouse import subjects


class Margin(NamedTuple):
    """Calls to a destination over a carrier. `margin` None = sold and bought in two currencies."""

    destination: str
    carrier: str
    calls: int
    sold_s: int
    sell: Decimal
    sell_currency: str
    buy: Decimal
    buy_currency: str

    @property
    def margin(self) -> Decimal | None:
        return self.sell - self.buy if self.sell_currency == self.buy_currency else None

    def per_minute(self, money: Decimal) -> Decimal | None:
        """Per minute that was sold; None = none was."""
        return money * 60 / self.sold_s if self.sold_s else None


class Quality(NamedTuple):
    """Of a carrier's attempts. `pdd_ms`: the median post-dial delay; None = it is not measured."""

    carrier: str
    attempts: int
    answered: int
    talk_ms: int
    pdd_ms: float | None


def margins(ask: Ask, tenant: str, from_ms: int, to_ms: int) -> list[Margin]:
    """What loses most first."""
    return [
        Margin(
            row["destination"], row["carrier"], row["calls"], row["billable_s"], row["sell"] or Decimal(0), row["sell_currency"],
            row["buy"] or Decimal(0), row["buy_currency"],
        )
        for row in ask(subjects.margins(tenant, from_ms, to_ms))
    ]  # fmt: skip


def quality(ask: Ask, tenant: str, from_ms: int, to_ms: int) -> list[Quality]:
    """By carrier, the busiest first."""
    rows = ask(subjects.quality(tenant, from_ms, to_ms))
    return [Quality(row["carrier"], row["attempts"], row["answers"], row["talk_ms"], _delay(row["median_pdd_ms"])) for row in rows]


def _delay(value: float | None) -> float | None:
    return value if value is not None and value == value else None  # ClickHouse's quantile of nothing is no number


def cause(one: Margin) -> str:
    """Why a margin is negative, for a person.

    >>> cause(Margin("Austria Mobile", "alpha", 3, 120, Decimal("0.10"), "EUR", Decimal("0.16"), "EUR"))
    'bought at 0.08 EUR and sold at 0.05 EUR per minute'
    >>> cause(Margin("Austria", "alpha", 3, 0, Decimal(0), "EUR", Decimal("0.01"), "EUR"))
    'nothing was sold: fees of attempts'
    """
    bought, sold = one.per_minute(one.buy), one.per_minute(one.sell)
    if one.margin is None or one.margin >= 0:
        return ""
    if bought is None or sold is None:
        return "nothing was sold: fees of attempts"
    return f"bought at {_short(bought)} {one.buy_currency} and sold at {_short(sold)} {one.sell_currency} per minute"


def _short(value: Decimal) -> str:
    return f"{round(value, 4).normalize():f}"
