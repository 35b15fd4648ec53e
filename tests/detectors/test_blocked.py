"""How an account's blocks grow: what comes back later is refused longer and wider, what comes within a minute is the same attack."""

from __future__ import annotations

import pytest

from core.orders import Key
from detectors import blocked
from detectors.blocked import Blocked

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
RANGES = ("88213", "3719", "25290", "9609")


def levels(*after_ms: int) -> list[int]:
    """The level of each order, of an account that opens another range each time."""
    orders: dict[int, Blocked] = {}
    found = []
    for t_ms, b_range in zip(after_ms, RANGES, strict=False):
        key = Key(tenant="t1", account="acme", b_range=b_range)
        found.append(blocked.level_of(blocked.of(orders, 7, t_ms), key, t_ms))
        blocked.note(orders, 7, 0, key, t_ms, t_ms + HOUR_MS, found[-1], 3.0)
    return found


@pytest.mark.parametrize(
    ("after_ms", "expected"),
    [
        ((0, 5_000, 12_000, 59_999), [0, 0, 0, 0]),  # a machine dials through ranges: one attack, and one mistake
        ((0, 60_000, 61_000, 119_999), [0, 1, 1, 1]),  # each level counts its minute anew
        ((0, 60_000, 120_000, 180_000), [0, 1, 2, 3]),
        ((0, 2 * HOUR_MS, 5 * HOUR_MS), [0, 1, 2]),
        ((0, 3 * 24 * HOUR_MS + 1), [0, 0]),  # after three days it is forgotten
        ((60_000, 0, 60_000), [0, 0, 0]),  # a late record raises nothing
    ],
)
def test_a_level_rises_once_a_minute(after_ms, expected):
    assert levels(*after_ms) == expected


def test_an_account_has_the_odds_of_its_surest_order():
    orders: dict[int, Blocked] = {}
    for odds in (2.0, 5.0, 3.0):
        blocked.note(orders, 7, 0, Key(tenant="t1", account="acme", b_range="88213"), 0, HOUR_MS, 0, odds)
    assert (orders[7].odds, orders[7].orders, len(orders[7].standing)) == (5.0, 3, 1)
