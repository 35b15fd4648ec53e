"""A new account that spends at once."""

from __future__ import annotations

import pytest

from detectors.subscription import DETECTOR

STORED: dict[str, dict[str, str]] = {}
START_S = 4 * 86_400 + 36_000


@pytest.mark.parametrize(
    ("what", "account", "money", "found"),
    [("a new account", "fresh", 9.0, True), ("a new account, ordinary prices", "fresh", 0.2, False), ("an old one", "acme", 9.0, False)],
)
def test_who_spends_before_the_first_bill(found_by, office, call, what, account, money, found):
    spent = [call(8 * 86_400 + START_S + no * 120, f"2126612{no:05d}", 600, money, account=account) for no in range(20)]
    hits, _ = found_by(DETECTOR, [*office(12), *spent])
    assert bool(hits) == found, what
