"""Stored records that a rating run mends: rejects that can be read after a fix, and what a run that is taken back leaves as it was before."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from clickhouse_connect.driver.client import Client

from core.schemas import FACTS, JUDGED
from warehouse.rows import frame

MOST_REJECTS = 200_000
"""Rejects that a run reads: all of them are in memory at once."""

_LATEST = "ORDER BY tenant, partition, offset, revision DESC LIMIT 1 BY tenant, partition, offset"
_KEYS = "call_key IN {keys:Array(String)}"


def rejects(client: Client, from_ms: int, to_ms: int, tenant: str = "") -> pl.DataFrame:
    """The rejects that arrived from `from_ms` to before `to_ms`: `tenant`, `partition`, `offset`, `learned_ms`, `raw`, `reason` and `revision`."""
    where = "learned_ms >= {from_ms:Int64} AND learned_ms < {to_ms:Int64}" + (" AND tenant = {tenant:String}" if tenant else "")
    columns = "tenant, partition, offset, learned_ms, raw, reason, revision"
    sql = (
        f"SELECT {columns} FROM (SELECT {columns}, disposition FROM records WHERE {where} {_LATEST}) WHERE disposition = 'reject' "
        f"ORDER BY tenant, partition, offset LIMIT {MOST_REJECTS + 1}"
    )
    found = frame(client, (sql, {"from_ms": from_ms, "to_ms": to_ms, "tenant": tenant}))
    return found.with_columns(pl.col("raw").cast(pl.Binary))


def ends(client: Client, keys: Sequence[str]) -> pl.DataFrame:
    """`call_key`, `record_partition` and `record_offset` of each stored end of these calls."""
    sql = f"SELECT DISTINCT call_key, record_partition, record_offset FROM calls WHERE {_KEYS}"
    return frame(client, (sql, {"keys": list(keys)}))


def events(client: Client, keys: Sequence[str]) -> pl.DataFrame:
    """`tenant`, `partition`, `offset`, `learned_ms` and the facts of the stored events of these calls, in the order of their offsets."""
    columns = ", ".join(dict.fromkeys(("tenant", "partition", "offset", "learned_ms", *FACTS)))
    sql = f"SELECT {columns} FROM (SELECT * FROM records WHERE {_KEYS} {_LATEST}) WHERE disposition = 'event' ORDER BY partition, offset"
    return frame(client, (sql, {"keys": list(keys)}))


def undone(client: Client, begins: str) -> pl.DataFrame:
    """Records whose last row has a reason that begins so, as they were before it: the next revision of each (JUDGED, `revision`)."""
    columns = ", ".join(JUDGED)
    ours = "SELECT tenant, partition, offset FROM records WHERE startsWith(reason, {begins:String})"
    rows = frame(client, (f"SELECT {columns}, revision FROM records WHERE (tenant, partition, offset) IN ({ours})", {"begins": begins}))
    key, is_ours = ["tenant", "partition", "offset"], pl.col("reason").str.starts_with(begins)
    last = rows.sort("revision").group_by(key, maintain_order=True).agg(is_ours.last().alias("is_ours"), pl.col("revision").max().alias("newest"))
    was = rows.filter(~is_ours).sort("revision").unique(key, keep="last", maintain_order=True)
    found = was.join(last.filter("is_ours"), on=key, how="inner").with_columns(revision=pl.col("newest") + 1)
    return found.select(*JUDGED, "revision").cast(pl.Schema([*JUDGED.items(), ("revision", pl.Int32())]))
