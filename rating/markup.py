"""The decks of a reseller with the mark-up of those below: each price raised, then rounded once, to the decimals that the agreement states."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

from core.config import Markup
from core.money import MAX_NANOS, NANOS, to_text
from rating.deck import Deck
from rating.rules import rounded
from rating.tariff import MAX_DENOMINATOR, MAX_STEP_S, Step, Tariff

WHOLE = 100 * NANOS
"""100 %, as `Markup.percent_nanos` counts."""


def marked_up(deck: Deck, markups: Sequence[Markup]) -> Deck:
    """A deck with each of its prices raised by every mark-up in turn. Rows, dates, conditions and increments stay as they are.

    >>> from rating.decks import read_deck
    >>> deck = read_deck(b"prefix,price_per_min,connect_fee\\n43,0.0312,0.01", "wholesale", "EUR")
    >>> raised = marked_up(deck, (Markup(percent_nanos=10_000_000_000, per_minute_nanos=1_000_000, decimals=4),))
    >>> to_text(raised.tariffs[0].steps[0].price_nanos), to_text(raised.tariffs[0].connect_nanos)
    ('0.0353', '0.011')
    """
    tariffs = deck.tariffs
    for markup in markups:
        tariffs = tuple(raised(tariff, markup) for tariff in tariffs)
    return deck.with_tariffs(tariffs) if markups else deck


def raised(tariff: Tariff, markup: Markup) -> Tariff:
    """A tariff with a mark-up. What pays the party is passed on as it is. A price that leaves the range of prices is no price: the row rejects.

    The amount per minute is added to the price of as many seconds as the step's price is for. Where those are no whole part or multiple of a
    minute in nanos, the step's price is first stated for a whole number of minutes, which changes nothing of what a call costs (unless the steps
    would have no common measure in range: then each price is rounded for its own seconds).

    >>> from rating.tariff import parse_steps, steps_text
    >>> steps_text(raised(Tariff(parse_steps("0:0.00137/6:6 60:0.5/7:1")), Markup(per_minute_nanos=10_000_000)).steps)
    '0:0.00237/6:6 60:30.07/420:1'
    """
    if tariff.reverse:
        return tariff

    def of(nanos: int) -> int:
        return rounded(nanos * (WHOLE + markup.percent_nanos), WHOLE, int(10 ** (9 - markup.decimals)), markup.rounding)

    steps = tuple(_raised(step, markup, True) for step in tariff.steps)
    if lcm(*(step.per_s for step in steps)) > MAX_DENOMINATOR:
        steps = tuple(_raised(step, markup, False) for step in tariff.steps)
    fees = of(tariff.connect_nanos), of(tariff.attempt_nanos), of(tariff.surcharge_nanos), of(tariff.min_nanos)
    most = None if tariff.max_nanos is None else of(tariff.max_nanos)
    if max(*fees, most or 0) > MAX_NANOS or any(step.price_nanos > MAX_NANOS // max(step.per_s, 60) for step in steps):
        return tariff._replace(reject=True)
    connect, attempt, surcharge, least = fees
    return tariff._replace(
        steps=steps, connect_nanos=connect, attempt_nanos=attempt, surcharge_nanos=surcharge, min_nanos=least, max_nanos=most
    )


def _raised(step: Step, markup: Markup, in_minutes: bool) -> Step:
    price, per_s = step.price_nanos, step.per_s
    if in_minutes and markup.per_minute_nanos * per_s % 60 and (whole_s := lcm(per_s, 60)) <= MAX_STEP_S:
        price, per_s = price * (whole_s // per_s), whole_s
    # All over one denominator: a price per `per_s` seconds, and the share of those seconds in the amount per minute.
    exact = price * (WHOLE + markup.percent_nanos) * 60 + markup.per_minute_nanos * per_s * WHOLE
    return step._replace(price_nanos=rounded(exact, 60 * WHOLE, int(10 ** (9 - markup.decimals)), markup.rounding), per_s=per_s)


def words(markup: Markup) -> str:
    """A mark-up for a person.

    >>> words(Markup(percent_nanos=12_500_000_000, per_minute_nanos=1_000_000, decimals=4))
    '+12.5 % +0.001 per minute, each price rounded half up to 4 decimals'
    """
    parts = [f"+{to_text(markup.percent_nanos)} %"] if markup.percent_nanos else []
    parts += [f"+{to_text(markup.per_minute_nanos)} per minute"] if markup.per_minute_nanos else []
    return f"{' '.join(parts) or '+0 %'}, each price rounded {markup.rounding.replace('_', ' ')} to {markup.decimals} decimals"
