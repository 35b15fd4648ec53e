"""How long rows are kept: a table says it, and whole days are dropped."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from clickhouse_connect.driver.client import Client

from core.schemas import TABLES
from warehouse.errors import WarehouseError
from warehouse.faults import explained
from warehouse.opening import DATABASE


def kept_days(client: Client) -> dict[str, int]:
    """Table -> days, as in force; 0 = for ever."""
    with explained(client.uri):
        rows = client.query("SELECT table, argMax(days, set_ms) FROM retention GROUP BY table ORDER BY table").result_rows
    return {table: int(days) for table, days in rows}


def keep_days(client: Client, table: str, days: int, who: str, why: str, now_ms: int | None = None) -> None:
    """Says how long a table is kept. It takes effect the next time `apply_retention` runs."""
    if table not in TABLES:
        raise WarehouseError(f"there is no table {table!r} with a retention; there are {', '.join(TABLES)}")
    if days < 0:
        raise WarehouseError("days must be 0 (for ever) or more")
    set_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    with explained(client.uri):
        client.insert("retention", [[table, days, set_ms, who, why]], column_names=["table", "days", "set_ms", "who", "why"])


def apply_retention(client: Client, now_ms: int) -> list[tuple[str, str]]:
    """Drops the days that are over; returns (table, day) of each. A day that a replay stores again goes with the next run."""
    dropped = []
    for table, days in kept_days(client).items():
        if not days or table not in TABLES:
            continue
        with explained(client.uri):
            old = client.query(
                "SELECT DISTINCT partition FROM system.parts "
                "WHERE active AND database = {database:String} AND table = {table:String} "
                "AND toUInt32OrZero(partition) < {oldest:UInt32} ORDER BY partition",
                parameters={"database": DATABASE, "table": table, "oldest": int(oldest_kept(now_ms, days))},
            ).result_rows
            for (day,) in old:
                client.command(f"ALTER TABLE {table} DROP PARTITION {int(day)}", settings=_whole_days(client))
                dropped.append((table, str(day)))
    return dropped


def _whole_days(client: Client) -> dict[str, int]:
    """A server keeps whoever types from dropping more than 50 GB at once. A day of a large carrier is more, and is meant."""
    name = "max_partition_size_to_drop"  # beside a question since ClickHouse 23.12
    return {name: 0} if name in client.server_settings else {}


def oldest_kept(now_ms: int, days: int) -> str:
    """The oldest day that stays: `days` whole days, today among them.

    >>> oldest_kept(1_764_028_800_000, days=7), oldest_kept(0, days=1)
    ('20251119', '19700101')
    """
    today = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{today - timedelta(days=days - 1):%Y%m%d}"
