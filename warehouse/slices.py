"""Stored calls in slices of bounded size, for whoever prices them again: questions as values, each answered as one Arrow table.

A slice is a run of offsets of one tenant and partition, which is the order of the tables' keys: the engine reads its granules and no others. A call
keeps its offset through all of its revisions, so it is in one slice, once. Attempts stand under offsets of their own: they are asked for by the
keys of those calls that have any beside their own end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from clickhouse_connect.driver.client import Client

from warehouse.queries import COUNTING, Query
from warehouse.retention import DAY_MS
from warehouse.rows import frame

BAND = 50_000
"""Offsets that are counted together."""

MOST_CALLS = 75_000
"""Calls in a slice, about: larger ones are no faster, and take more memory."""


MOST_CHARGES = 400_000
"""The same, of charges that count: with resellers and several runs a call has many, and the store answers with a million rows at most."""


class Period(NamedTuple):
    """Which calls: those that were answered (else: ended) from `from_ms` to before `to_ms`; "" = every one."""

    from_ms: int
    to_ms: int
    tenant: str = ""
    account: str = ""
    carrier: str = ""  # over which the call, or one of its attempts, went


class Slice(NamedTuple):
    """Offsets from `first` to before `end`."""

    tenant: str
    partition: int
    first: int
    end: int


def bands(period: Period) -> Query:
    """Tenant, partition, number of the band, how many revisions of calls of the period it has, and how many charges."""
    where, params = _period(period)
    of = "learned_ms >= {since_ms:Int64}" + (" AND tenant = {tenant:String}" if period.tenant else "")
    band = f"tenant, partition, intDiv(offset, {BAND}) AS band"
    return (
        f"SELECT tenant, partition, band, sum(n) AS calls, sum(m) AS charges FROM (SELECT {band}, 1 AS n, 0 AS m FROM calls WHERE {of} AND {where} "
        f"UNION ALL SELECT {band}, 0 AS n, 1 AS m FROM charges WHERE {of} AND {COUNTING}) "
        "GROUP BY tenant, partition, band HAVING calls > 0 ORDER BY tenant, partition, band",
        params,
    )


def slices(rows: Iterable[Mapping[str, Any]], most: int = MOST_CALLS, most_charges: int = MOST_CHARGES) -> list[Slice]:
    """The slices of what `bands` found: neighbours together, up to so many calls, and charges.

    >>> slices([{"tenant": "t1", "partition": 0, "band": n, "calls": 40, "charges": 80} for n in (0, 1, 5)], most=100)
    [Slice(tenant='t1', partition=0, first=0, end=100000), Slice(tenant='t1', partition=0, first=250000, end=300000)]
    """
    found: list[Slice] = []
    calls = charges = 0
    for row in rows:
        tenant, partition, first = row["tenant"], int(row["partition"]), int(row["band"]) * BAND
        last = found[-1] if found else None
        calls, charges = calls + row["calls"], charges + row["charges"]
        if last and last.tenant == tenant and last.partition == partition and calls <= most and charges <= most_charges:
            found[-1] = last._replace(end=first + BAND)
        else:
            found.append(Slice(tenant, partition, first, first + BAND))
            calls, charges = row["calls"], row["charges"]
    return found


def calls(client: Client, of: Slice, period: Period, columns: Sequence[str]) -> pl.DataFrame:
    """The facts of the slice's calls that lie in the period, at their highest revision. Repeats and older revisions are few: they are left out here,
    where the engine would sort all rows for it."""
    wanted = [*dict.fromkeys([*columns, "offset", "revision", "account", "answer_ms", "end_ms"])]
    over, params = "", _params(of) | {"since_ms": period.from_ms - DAY_MS}
    if period.carrier:
        asked = "SELECT call_key FROM attempts WHERE tenant = {tenant:String} AND carrier = {carrier:String} AND learned_ms >= {since_ms:Int64}"
        over = f", carrier = {{carrier:String}} OR ((failed > 0 OR legs > 0) AND call_key IN ({asked})) AS over_carrier"
        params["carrier"] = period.carrier
    found = _frame(client, (f"SELECT {', '.join(wanted)}{over} FROM calls WHERE {SLICE}", params))
    if found["offset"].n_unique() < found.height:
        found = found.sort("revision").unique("offset", keep="last")
    moment = pl.coalesce("answer_ms", "end_ms")
    found = found.filter((moment >= period.from_ms) & (moment < period.to_ms))
    if period.account:
        found = found.filter(pl.col("account") == period.account)
    return (found.filter(pl.col("over_carrier").cast(pl.Boolean)) if period.carrier else found).select(columns)


def attempts(client: Client, of: Slice, period: Period, found: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The attempts of those of the slice's calls (`found`, with `setup_ms`) that have any beside their own end."""
    where, params = _attempts(of, period, found)
    return _frame(client, (f"SELECT {', '.join(columns)} FROM attempts WHERE {where}", params))


def _attempts(of: Slice, period: Period, found: pl.DataFrame) -> Query:
    several = found.filter((pl.col("failed") > 0) | (pl.col("legs") > 0))
    first, last = several.select(pl.coalesce("setup_ms", "answer_ms", "end_ms").min(), pl.col("learned_ms").max()).row(0)
    keys = f"SELECT call_key FROM calls WHERE {SLICE} AND (failed > 0 OR legs > 0)"
    # A clock that is ahead may say that a call began after we had learned of its attempt: a day of grace.
    bounds = {"from_ms": (first or 0) - DAY_MS, "to_ms": last or 0, "since_ms": period.from_ms - DAY_MS}
    where = f"tenant = {{tenant:String}} AND learned_ms >= {{from_ms:Int64}} AND learned_ms <= {{to_ms:Int64}} AND call_key IN ({keys})"
    return where, _params(of) | bounds


def charges(client: Client, of: Slice, period: Period, columns: Sequence[str]) -> pl.DataFrame:
    """The charges of the slice's calls that count now. Repeats are left out here, as in `calls`."""
    wanted = [*dict.fromkeys([*columns, *_OF_CHARGE])]
    params = _params(of) | {"since_ms": period.from_ms - DAY_MS}
    found = _frame(client, (f"SELECT {', '.join(wanted)} FROM charges WHERE {SLICE} AND {COUNTING}", params))
    if found.select(_OF_CHARGE).hash_rows().n_unique() < found.height:
        found = found.unique(_OF_CHARGE, keep="any")
    if found.height and (found["revision"].max(), found["run"].max()) != (found["revision"].min(), found["run"].min()):
        version = pl.col("revision").cast(pl.Int64) * 2**40 + pl.col("run")
        found = found.filter(version == version.max().over("offset"))
    return found


_OF_CHARGE = ("partition", "offset", "revision", "run", "role", "level", "attempt_no", "segment")


def amounts(client: Client, of: Slice, period: Period, found: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """What the records of the slice's calls (`found`), and of their attempts, say that they cost, by `record_partition` and `record_offset`."""
    where, params = _attempts(of, period, found)
    ends = f"SELECT record_partition, record_offset FROM calls WHERE {SLICE}"
    several = found.select((pl.col("failed") + pl.col("legs")).max()).item()
    tries = f" UNION ALL SELECT partition, offset FROM attempts WHERE {where}" if several else ""
    sql = (
        f"SELECT partition AS record_partition, offset AS record_offset, {', '.join(columns)} FROM records WHERE tenant = {{tenant:String}} "
        f"AND learned_ms >= {{since_ms:Int64}} AND (partition, offset) IN ({ends}{tries}) AND (sell_amount != '' OR buy_amount != '') "
        "ORDER BY partition, offset, revision DESC LIMIT 1 BY partition, offset"
    )
    return _frame(client, (sql, params))


def ended_by(client: Client, of: Slice, period: Period, columns: Sequence[str], disposition: str) -> pl.DataFrame:
    """The records that ended or corrected the slice's calls and have that disposition, with their `revision`."""
    ends = f"SELECT record_partition, record_offset FROM calls WHERE {SLICE}"
    sql = (
        f"SELECT {', '.join(columns)}, revision FROM (SELECT * FROM records WHERE tenant = {{tenant:String}} AND learned_ms >= {{since_ms:Int64}} "
        f"AND (partition, offset) IN ({ends}) ORDER BY partition, offset, revision DESC LIMIT 1 BY partition, offset) "
        "WHERE disposition = {disposition:String}"
    )
    return _frame(client, (sql, _params(of) | {"since_ms": period.from_ms - DAY_MS, "disposition": disposition}))


def _frame(client: Client, query: Query) -> pl.DataFrame:
    """By one thread: the other core prices the slice before, and the engine's own threads cost a third more than they gain on so few rows."""
    return frame(client, query, threads=1)


SLICE = (
    "tenant = {tenant:String} AND partition = {partition:Int32} AND offset >= {first:Int64} AND offset < {end:Int64} "
    "AND learned_ms >= {since_ms:Int64}"
)


def _params(of: Slice) -> dict[str, Any]:
    return of._asdict()


def _period(period: Period) -> Query:
    # Of an answer we cannot learn before it was, but for a clock that is ahead: a day of grace.
    params = period._asdict() | {"since_ms": period.from_ms - DAY_MS}
    return "ifNull(answer_ms, end_ms) >= {from_ms:Int64} AND ifNull(answer_ms, end_ms) < {to_ms:Int64}", params
