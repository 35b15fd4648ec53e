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


@pytest.mark.parametrize(("callers", "found"), [(1, True), (3, True), (400, False)], ids=["one line", "three lines", "others' callers"])
def test_a_carrier_that_is_new_has_as_many_callers_as_calls(found_by, office, call, callers, found):
    """Half of the calls go to a dear destination, at 0.75 a minute; the others everywhere."""
    begin_s = 8 * 86_400 + START_S
    sent = [
        call(begin_s + no * 20, f"5371{no:06d}" if no % 2 else f"49301{no:06d}", 180, 2.25 if no % 2 else 0.06, account="fresh",
             a_number=f"4366{no % callers:06d}")
        for no in range(400)
    ]  # fmt: skip
    hits, _ = found_by(DETECTOR, [*office(12), *sent])
    assert bool(hits) == found
