"""Stored records in the order in which they were received, for whoever judges them again: questions as values, each answered as one Arrow table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl
from clickhouse_connect.driver.client import Client

from core.schemas import FACTS
from warehouse.queries import Query
from warehouse.rows import frame

BAND_MS = 60_000
MOST_RECORDS = 100_000
"""In a span, about: all of them are in memory at once."""

_WHERE = "learned_ms >= {from_ms:Int64} AND learned_ms < {to_ms:Int64}"
_KEPT = "disposition IN ('rated', 'unrated', 'event')"
"""A reject is no record, and of duplicates and conflicts the first one counts."""


class Span(NamedTuple):
    """From when to before when records were received, and how many there are, about."""

    from_ms: int
    to_ms: int
    records: int


def bands(from_ms: int, to_ms: int, tenant: str = "") -> Query:
    """Minute, and how many records were received in it."""
    of = " AND tenant = {tenant:String}" if tenant else ""
    return (
        f"SELECT intDiv(learned_ms, {BAND_MS}) AS band, count() AS records FROM records WHERE {_WHERE} AND {_KEPT}{of} GROUP BY band ORDER BY band",
        {"from_ms": from_ms, "to_ms": to_ms, "tenant": tenant},
    )


def spans(rows: Iterable[Mapping[str, Any]], most: int = MOST_RECORDS) -> list[Span]:
    """The minutes that `bands` found, together up to so many records.

    >>> spans([{"band": 0, "records": 40}, {"band": 1, "records": 40}, {"band": 9, "records": 40}], most=100)
    [Span(from_ms=0, to_ms=120000, records=80), Span(from_ms=540000, to_ms=600000, records=40)]
    """
    found: list[Span] = []
    for row in rows:
        begin, n = int(row["band"]) * BAND_MS, int(row["records"])
        if found and found[-1].records + n <= most:
            found[-1] = Span(found[-1].from_ms, begin + BAND_MS, found[-1].records + n)
        else:
            found.append(Span(begin, begin + BAND_MS, n))
    return found


def records(client: Client, span: Span, tenant: str = "") -> pl.DataFrame:
    """The facts of a span's records as judge took them, with `learned_ms`, in the order in which they were received."""
    columns = ", ".join(dict.fromkeys(("learned_ms", *FACTS)))
    of = " AND tenant = {tenant:String}" if tenant else ""
    newest = f"SELECT * FROM records WHERE {_WHERE}{of} ORDER BY tenant, partition, offset, revision DESC LIMIT 1 BY tenant, partition, offset"
    sql = f"SELECT {columns} FROM ({newest}) WHERE {_KEPT} ORDER BY learned_ms, partition, offset"
    return frame(client, (sql, {"from_ms": span.from_ms, "to_ms": span.to_ms, "tenant": tenant}))
