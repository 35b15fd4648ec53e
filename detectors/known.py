"""Columns of a frame that say whether a call goes into a range that is known for fraud (`core.known`), and since when.

They depend on the row and its config version alone. Where no range is known they cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from core.known import DAY_MS, NOTHING, Known, points

KnownOf = Callable[[str], Known]
"""Tenant -> its known ranges."""

ADDED = ("known_points", "known_days")
"""Log-odds that the range adds now, and how many days ago it was seen in fraud."""


def nobody(_: str) -> Known:
    """No range is known."""
    return NOTHING


def with_known(frame: pl.DataFrame, known_of: KnownOf) -> pl.DataFrame:
    """The frame with the columns of `ADDED`."""
    added, days = np.zeros(frame.height), np.zeros(frame.height)
    tables = {tenant: known_of(tenant) for tenant in dict.fromkeys(frame["tenant"].to_list())}
    if any(map(len, tables.values())):
        rows = zip(frame["tenant"].to_list(), frame["b_number"].to_list(), frame["b_code"].to_list(), frame["t_ms"].to_list(), strict=True)
        for at, (tenant, b_number, b_code, t_ms) in enumerate(rows):
            if b_code and (found := tables[tenant].find(b_number)) is not None:
                added[at], days[at] = points(found, t_ms), max(t_ms - found.at_ms, 0) / DAY_MS
    return frame.hstack([pl.Series("known_points", added), pl.Series("known_days", days)])
