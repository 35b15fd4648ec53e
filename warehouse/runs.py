"""Which rating runs count: one row makes all charges of a run count, at once, or none of them."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from warehouse.queries import Query
from warehouse.rows import RATING_RUNS


def row(run: int, counts: bool, set_ms: int, who: str, why: str) -> pa.Table:
    """The row of `rating_runs` that says it; inserted again, it is the same."""
    return pl.DataFrame([(run, counts, set_ms, who, why)], schema=RATING_RUNS, orient="row").to_arrow()


def counting() -> Query:
    """`run`, of those that count."""
    return "SELECT run FROM rating_runs_counting ORDER BY run", {}


def highest() -> Query:
    """`run`: the highest number that any charge was stored under, counting or not. The next run must be above it: books that were put back from a
    backup may have forgotten it."""
    return "SELECT greatest((SELECT max(run) FROM charges), (SELECT max(run) FROM rating_runs)) AS run", {}
