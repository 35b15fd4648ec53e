"""Our side of a comparison with somebody else's account of the same calls: priced calls as frames of `assurance.reconcile.sides.OURS`.

Each charge counts in its highest (revision, run). A call that was charged by several rates is one row: its seconds and money are summed, its price
is that of its beginning.
"""

from __future__ import annotations

import polars as pl
from clickhouse_connect.driver.client import Client

from assurance.reconcile.sides import OURS
from warehouse.faults import explained
from warehouse.queries import COUNTING
from warehouse.queries import KEY_OF_CHARGE as _KEY

DAY_MS = 86_400_000


def bought(client: Client, tenant: str, carrier: str, from_ms: int, to_ms: int) -> pl.DataFrame:
    """The answered attempts that were bought from a carrier in a stretch of time."""
    return _side(client, "role = 'buy' AND carrier = {party:String}", tenant, carrier, from_ms, to_ms)


def sold(client: Client, tenant: str, account: str, from_ms: int, to_ms: int) -> pl.DataFrame:
    """The answered calls that were sold to an account in a stretch of time."""
    return _side(client, "role = 'sell' AND level = 0 AND account = {party:String}", tenant, account, from_ms, to_ms)


def of_switch(client: Client, tenant: str, switch: str, from_ms: int, to_ms: int) -> pl.DataFrame:
    """The answered calls of a switch. Their money is their talk: a nano of the currency `s` is a billionth of a second, so that what two switches
    differ by is counted in seconds."""
    sql = (
        "SELECT call_key, toInt32(0) AS attempt_no, a_number, b_number, answer_ms AS at_ms, duration_ms, intDiv(ifNull(duration_ms, 0) + 500, "
        "1000) AS charged_s, "
        "toInt64(60000000000) AS per_min_nanos, charged_s * 1000000000 AS nanos, '' AS prefix, '' AS destination, suspected_hung FROM ("
        "SELECT * FROM calls WHERE tenant = {tenant:String} AND learned_ms >= {since_ms:Int64} AND switch = {party:String} "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset) "
        "WHERE answer_ms >= {from_ms:Int64} AND answer_ms < {to_ms:Int64} ORDER BY at_ms, call_key"
    )
    return _frame(client, sql, tenant, switch, from_ms, to_ms)


def _side(client: Client, whose: str, tenant: str, party: str, from_ms: int, to_ms: int) -> pl.DataFrame:
    # A call is learned of after it was answered, but for a clock that is ahead: a day of grace.
    mine = "tenant = {tenant:String} AND learned_ms >= {since_ms:Int64}"
    known = f"SELECT tenant, partition, offset FROM charges WHERE {mine} AND {COUNTING} AND {whose}"
    keys = f"SELECT call_key FROM charges WHERE {mine} AND {COUNTING} AND {whose}"
    each = f"SELECT * FROM charges WHERE {mine} AND {COUNTING} AND (tenant, partition, offset) IN ({known}) ORDER BY {_KEY} LIMIT 1 BY {_KEY}"
    counted = f"SELECT *, max((revision, run)) OVER (PARTITION BY tenant, partition, offset) AS top FROM ({each})"
    charges = (
        "SELECT tenant, partition, offset, call_key, attempt_no, min(start_ms) AS at_ms, sum(charged_s) AS charged_s, "
        "argMin(per_min_nanos, segment) AS per_min_nanos, sum(nanos) AS nanos, argMin(prefix, segment) AS prefix, "
        f"argMin(destination, segment) AS destination FROM ({counted}) WHERE (revision, run) = top AND {whose} AND start_ms IS NOT NULL "
        "GROUP BY tenant, partition, offset, call_key, attempt_no"
    )
    calls = (
        f"SELECT call_key, a_number, b_number, duration_ms, suspected_hung FROM calls WHERE {mine} AND call_key IN ({keys}) "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset"
    )
    legs = (
        f"SELECT call_key, attempt_no, b_number, duration_ms FROM attempts WHERE {mine} AND answered AND call_key IN ({keys}) "
        "ORDER BY tenant, call_key, attempt_no, revision DESC, partition DESC, offset DESC LIMIT 1 BY tenant, call_key, attempt_no"
    )
    sql = (
        "SELECT g.call_key AS call_key, g.attempt_no AS attempt_no, c.a_number AS a_number, if(l.b_number = '', c.b_number, l.b_number) AS b_number, "
        "g.at_ms AS at_ms, ifNull(if(l.call_key = '', c.duration_ms, l.duration_ms), 0) AS duration_ms, g.charged_s AS charged_s, "
        "g.per_min_nanos AS per_min_nanos, g.nanos AS nanos, g.prefix AS prefix, g.destination AS destination, c.suspected_hung AS suspected_hung "
        f"FROM ({charges}) AS g LEFT JOIN ({calls}) AS c ON g.call_key = c.call_key "
        f"LEFT JOIN ({legs}) AS l ON g.call_key = l.call_key AND g.attempt_no = l.attempt_no "
        "WHERE g.at_ms >= {from_ms:Int64} AND g.at_ms < {to_ms:Int64} ORDER BY at_ms, call_key, attempt_no"
    )
    return _frame(client, sql, tenant, party, from_ms, to_ms)


def _frame(client: Client, sql: str, tenant: str, party: str, from_ms: int, to_ms: int) -> pl.DataFrame:
    params = {"tenant": tenant, "party": party, "from_ms": from_ms, "to_ms": to_ms, "since_ms": from_ms - DAY_MS}
    with explained(client.uri):
        table = client.query_arrow(sql, parameters=params, use_strings=True)
    return pl.DataFrame(pl.from_arrow(table)).select(*OURS).cast(OURS)


def attempt_fees(client: Client, tenant: str, carrier: str, from_ms: int, to_ms: int) -> tuple[int, int]:
    """How many attempts of a carrier failed and cost a fee nevertheless, and how much in nanos: their files have no calls for them."""
    mine = "tenant = {tenant:String} AND learned_ms >= {since_ms:Int64}"
    which = f"{mine} AND role = 'buy' AND carrier = {{party:String}} AND start_ms IS NULL"
    each = f"SELECT * FROM charges WHERE {which} AND {COUNTING} ORDER BY {_KEY} LIMIT 1 BY {_KEY}"
    sql = (
        "SELECT count() AS attempts, sum(toInt128(nanos)) AS nanos FROM (SELECT * FROM (" + each + ") WHERE end_ms >= {from_ms:Int64} "
        "AND end_ms < {to_ms:Int64} ORDER BY tenant, partition, offset, attempt_no, revision DESC, run DESC "
        "LIMIT 1 BY tenant, partition, offset, attempt_no)"
    )
    params = {"tenant": tenant, "party": carrier, "from_ms": from_ms, "to_ms": to_ms, "since_ms": from_ms - DAY_MS}
    with explained(client.uri):
        row = next(iter(client.query(sql, parameters=params).named_results()))
    return int(row["attempts"]), int(row["nanos"])
