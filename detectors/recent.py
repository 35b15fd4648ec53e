"""A bounded memory of named things: what was not touched for longest is dropped first; and money that is never added over currencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

Of = TypeVar("Of")
Money = dict[str, list[int]]
"""Currency -> nanos, and the rows that had it."""


def touched(named: dict[str, Of], name: str, new: Callable[[], Of], most: int) -> Of:
    """The thing of that name, or a new one, as the one that was touched last.

    >>> named = {"a": 1, "b": 2}
    >>> touched(named, "a", int, 2), touched(named, "c", int, 2), named
    (1, 0, {'a': 1, 'c': 0})
    """
    one = named.pop(name) if name in named else new()
    named[name] = one
    if len(named) > most:
        del named[next(iter(named))]
    return one


def drop_old(named: dict[str, Of], last_ms: Callable[[Of], int], before_ms: int) -> None:
    """Drop from the front what is older; stops at the first that is not, so that it costs nothing where nothing is old.

    >>> named = {"a": 1, "b": 5, "c": 2}
    >>> drop_old(named, int, 3)
    >>> named
    {'b': 5, 'c': 2}
    """
    while named and last_ms(named[name := next(iter(named))]) < before_ms:
        del named[name]


def spend(money: Money, currency: str, nanos: int) -> None:
    """Add the money of one row; a row without a price adds none."""
    if currency:
        had = money.setdefault(currency, [0, 0])
        had[0], had[1] = had[0] + nanos, had[1] + 1


def most(money: Mapping[str, list[int]]) -> tuple[int, str]:
    """Nanos and currency of the currency with the most rows: amounts of two currencies are no sum.

    >>> spent = {}
    >>> for currency, nanos in (("IDR", 10**14), ("EUR", 5), ("EUR", 7), ("", 0)): spend(spent, currency, nanos)
    >>> most(spent), most({})
    ((12, 'EUR'), (0, ''))
    """
    if not money:
        return 0, ""
    currency = min(money, key=lambda one: (-money[one][1], one))
    return money[currency][0], currency
