"""The shapes of what is compared: our calls, their calls, the lines of their invoice.

`OURS` may reach beyond the period on both sides: a call of theirs that is ours of the day before is a period boundary and not a stranger.
"""

from __future__ import annotations

import polars as pl

OURS = pl.Schema(
    {
        "call_key": pl.String,
        "attempt_no": pl.Int32,  # 0 of a sale
        "a_number": pl.String,
        "b_number": pl.String,  # E.164 digits
        "at_ms": pl.Int64,  # the moment whose price list counts
        "duration_ms": pl.Int64,
        "charged_s": pl.Int64,
        "per_min_nanos": pl.Int64,  # in the deck's currency
        "nanos": pl.Int64,  # in the agreement's currency
        "prefix": pl.String,
        "destination": pl.String,
        "suspected_hung": pl.Boolean,
    }
)
"""One row per call that has a price: an attempt that we bought, or a call that we sold."""

THEIRS = pl.Schema(
    {
        "line": pl.Int64,  # of their file, from 1
        "a_number": pl.String,  # digits, as far as they write them
        "b_number": pl.String,
        "at_ms": pl.Int64,
        "duration_ms": pl.Int64,  # null = the file has charged seconds alone
        "charged_s": pl.Int64,  # null = the file has talk time alone
        "per_min_nanos": pl.Int64,  # null = the file has no price per minute
        "nanos": pl.Int64,  # null = the file has no amounts
        "destination": pl.String,  # by their name, "" = none
    }
)
"""One row per call of their file that could be read."""

LINES = pl.Schema(
    {
        "line": pl.Int64,
        "destination": pl.String,
        "prefix": pl.String,
        "calls": pl.Int64,  # null = the invoice does not say
        "charged_s": pl.Int64,
        "per_min_nanos": pl.Int64,
        "nanos": pl.Int64,
        "day": pl.String,  # ISO, "" = the whole period
    }
)
"""One row per line of an invoice. A line without seconds is a fee, a credit or a commitment."""
