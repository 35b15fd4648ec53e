"""Own traffic as a frame: what was sent to carriers in a period, by number and length of talk, to be priced by other decks."""

from __future__ import annotations

from typing import Any

import polars as pl
from clickhouse_connect.driver.client import Client

from warehouse.faults import explained

DAY_MS = 86_400_000

SCHEMA = pl.Schema(
    {"carrier": pl.String, "b_number": pl.String, "answered": pl.Boolean, "duration_ms": pl.Int64, "attempts": pl.Int64}
)


def sent(client: Client, tenant: str, from_ms: int, to_ms: int, carrier: str = "") -> pl.DataFrame:
    """The attempts of a period (`from_ms` to before `to_ms`), each counted once whatever was corrected: a row of `SCHEMA` per carrier,
    number, length and whether it was answered. `carrier` "" = all of them; attempts of no carrier are left out."""
    # An attempt cannot be learned of before it happened, but for a clock that is ahead: a day of grace.
    where = "learned_ms >= {since_ms:Int64} AND tenant = {tenant:String} AND carrier != ''"
    params = {"since_ms": from_ms - DAY_MS, "from_ms": from_ms, "to_ms": to_ms, "tenant": tenant}
    if carrier:
        params["carrier"] = carrier
    only = " AND carrier = {carrier:String}" if carrier else ""  # outside: a correction may move an attempt to another carrier
    sql = (
        "SELECT carrier, b_number, answered, if(answered, greatest(ifNull(duration_ms, 0), 0), 0) AS duration_ms, toInt64(count()) AS attempts "
        "FROM (SELECT carrier, b_number, answered, duration_ms, at_ms, learned_ms FROM attempts "
        f"WHERE {where} ORDER BY tenant, call_key, attempt_no, revision DESC, partition DESC, offset DESC LIMIT 1 BY tenant, call_key, attempt_no) "
        f"WHERE ifNull(at_ms, learned_ms) >= {{from_ms:Int64}} AND ifNull(at_ms, learned_ms) < {{to_ms:Int64}} AND b_number != ''{only} "
        "GROUP BY carrier, b_number, answered, duration_ms"
    )
    return _frame(client, sql, params)


def sold(client: Client, tenant: str, from_ms: int, to_ms: int, accounts: list[str]) -> pl.DataFrame:
    """The calls of some accounts in a period, each counted once: rows of `SCHEMA` without a carrier, a call in place of an attempt."""
    sql = (
        "SELECT '' AS carrier, b_number, answered, if(answered, greatest(ifNull(duration_ms, 0), 0), 0) AS duration_ms, toInt64(count()) AS attempts "
        "FROM (SELECT b_number, answer_ms IS NOT NULL AS answered, duration_ms, ifNull(answer_ms, end_ms) AS at_ms, account FROM calls "
        "WHERE learned_ms >= {since_ms:Int64} AND tenant = {tenant:String} "
        "ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC LIMIT 1 BY tenant, partition, offset) "
        "WHERE at_ms >= {from_ms:Int64} AND at_ms < {to_ms:Int64} AND b_number != '' AND account IN {accounts:Array(String)} "
        "GROUP BY b_number, answered, duration_ms"
    )
    return _frame(client, sql, {"since_ms": from_ms - DAY_MS, "from_ms": from_ms, "to_ms": to_ms, "tenant": tenant, "accounts": accounts})


def _frame(client: Client, sql: str, params: dict[str, Any]) -> pl.DataFrame:
    with explained(client.uri):
        table = client.query_arrow(sql, parameters=params, use_strings=True)
    return pl.DataFrame(pl.from_arrow(table)).cast(SCHEMA)
