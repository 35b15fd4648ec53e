"""Test calls: a call that we placed over one carrier to a line of our own, and what arrived there.

Both ends are ours, so a test call shows what no record of a customer's call can: the caller's number as it was delivered, and whether the called
telephone rang. A frame of them has the schema `ROUTE_TESTS`.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl


class RouteTest(NamedTuple):
    """One test call. None = not observed."""

    tenant: str
    test_id: str  # derived from carrier, time and numbers: the same test call again replaces its row
    at_ms: int  # placed
    carrier: str
    a_number: str  # sent, E.164 digits; "" = it was withheld
    b_number: str  # of our test line, E.164 digits
    cli: str | None  # the caller's number as the test line was shown it; "" = it was shown none
    answered: bool | None  # the carrier signalled an answer
    line_rang: bool | None
    line_answered: bool | None
    ringback: bool | None  # a ring tone was heard at the caller's end
    hung_up_ms: int | None  # when the test line hung up
    ended_ms: int | None  # when the call ended at the caller's end


ROUTE_TESTS = pl.Schema(
    {
        "tenant": pl.String, "test_id": pl.String, "at_ms": pl.Int64, "carrier": pl.String, "a_number": pl.String, "b_number": pl.String,
        "cli": pl.String, "answered": pl.Boolean, "line_rang": pl.Boolean, "line_answered": pl.Boolean, "ringback": pl.Boolean,
        "hung_up_ms": pl.Int64, "ended_ms": pl.Int64,
    }
)  # fmt: skip
