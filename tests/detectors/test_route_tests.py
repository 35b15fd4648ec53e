"""What is claimed of carriers by test calls, and what is not."""

from __future__ import annotations

import polars as pl
import pytest

from core.route_tests import ROUTE_TESTS
from detectors.route_tests import WINDOW_MS, claims

DAY = 86_400_000
SENT, LINE = "43664123456", "2348031234567"
FINE = {"cli": SENT, "answered": True, "line_rang": True, "line_answered": True, "ringback": True, "hung_up_ms": 60_000, "ended_ms": 60_400}


def frame_of(*rows: tuple[str, int, dict[str, object]], at_ms: int = 10 * DAY, sent: str = SENT) -> pl.DataFrame:
    """(carrier, how many, what was observed)"""
    found = [
        {"tenant": "t1", "at_ms": at_ms, "a_number": sent, "b_number": LINE, "carrier": carrier, **FINE, **observed}
        for carrier, n, observed in rows
        for _ in range(n)
    ]
    return pl.DataFrame(found, schema=ROUTE_TESTS)


LOCAL, OTHER, NONE = {"cli": "+2348021112223"}, {"cli": "+390612345678"}, {"cli": ""}
FALSE, ECHO, LATE = {"line_rang": False, "line_answered": False}, {"line_rang": False, "answered": False}, {"ended_ms": 75_000}


@pytest.mark.parametrize(
    ("alpha_bad", "of", "observed", "beta_bad", "of_beta", "said"),
    [
        (9, 10, LOCAL, 0, 20, ["cli_local"]),
        (9, 10, OTHER, 0, 20, ["cli_changed"]),
        (9, 10, NONE, 0, 20, ["cli_missing"]),
        (9, 20, FALSE, 1, 20, ["test_answer", "test_ringback"]),
        (9, 20, ECHO, 0, 20, ["test_ringback"]),
        (9, 20, LATE, 0, 20, ["test_late"]),
        (1, 1, LOCAL, 0, 20, []),  # never about one call
        (2, 10, LOCAL, 0, 20, []),
        (9, 9, LOCAL, 0, 20, []),  # too few
        (9, 10, LOCAL, 18, 20, []),  # neither differs from the other by more than chance
        (5, 10, NONE, 9, 20, []),  # the country hides everybody's callers
        (9, 10, NONE, 0, 0, ["cli_missing"]),  # nobody else was tested there
        (5, 10, NONE, 0, 0, []),  # ... so half of them is not enough
        (3, 200, LOCAL, 0, 200, []),  # what honest networks do
        (9, 10, {"answered": None, "cli": None}, 0, 20, []),  # not observed
    ],
)
def test_what_test_calls_of_alpha_say(alpha_bad, of, observed, beta_bad, of_beta, said):
    rows = [("alpha", alpha_bad, observed), ("alpha", of - alpha_bad, {}), ("beta", beta_bad, observed), ("beta", of_beta - beta_bad, {})]
    assert [(one.what, one.carrier) for one in claims(frame_of(*rows))] == [(what, "alpha") for what in said]


def test_a_withheld_caller_says_nothing_of_numbers():
    assert claims(frame_of(("alpha", 10, NONE), ("beta", 20, {}), sent="")) == []


def test_only_the_newest_week_counts():
    old, new = frame_of(("alpha", 20, LOCAL), at_ms=10 * DAY), frame_of(("beta", 20, {}), at_ms=10 * DAY + WINDOW_MS)
    assert claims(pl.concat([old, new])) == []
    assert claims(frame_of()) == []


def test_how_long_calls_went_on():
    (found,) = claims(frame_of(("alpha", 12, LATE), ("beta", 20, {})))
    assert (found.late_ms, found.tests, found.bad, found.peers_tests, found.zone) == (15_000, 12, 12, 20, "2348")
