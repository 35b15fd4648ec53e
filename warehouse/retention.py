"""How long rows are kept: by a table of settings; whole days are dropped. A row belongs to the day on which it was received."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from core.clock import wall_clock_ms
from core.schemas import TABLES
from warehouse.errors import WarehouseError
from warehouse.faults import explained
from warehouse.opening import DATABASE
from warehouse.queries import Query
from warehouse.rows import ask

DAY_MS = 86_400_000


def kept_days(client: Client) -> dict[str, int]:
    """Table -> days, as in force; 0 = for ever."""
    sql = "SELECT table, argMax(days, set_ms) AS days FROM retention GROUP BY table ORDER BY table"
    return {row["table"]: int(row["days"]) for row in ask(client, (sql, {}))}


def keep_days(client: Client, table: str, days: int, who: str, why: str, now_ms: int | None = None) -> None:
    """Sets how long a table is kept. It takes effect when `apply_retention` runs next."""
    if table not in TABLES:
        raise WarehouseError(f"there is no table {table!r} with a retention; there are {', '.join(TABLES)}")
    if days < 0:
        raise WarehouseError("days must be 0 (for ever) or more")
    set_ms = wall_clock_ms() if now_ms is None else now_ms
    with explained(client.uri):
        client.insert("retention", [[table, days, set_ms, who, why]], column_names=["table", "days", "set_ms", "who", "why"])


def apply_retention(client: Client, now_ms: int) -> list[tuple[str, str]]:
    """Drops expired days; returns (table, day) of each. A day that a replay stores again is dropped by the next run.

    Age is measured at most up to the day after the newest stored day: a clock that is ahead drops nothing.
    """
    dropped = []
    now_ms = min(now_ms, _newest_ms(client) + 2 * DAY_MS)
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


class Held(NamedTuple):
    """The content of a table: rows, bytes on the disk, the oldest and the newest day ("" = none), and how many days are kept (0 = for ever)."""

    table: str
    rows: int
    size_bytes: int
    oldest: str
    newest: str
    days: int


HELD: Query = (
    "SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS size_bytes, min(partition) AS oldest, max(partition) AS newest "
    "FROM system.parts WHERE active AND database = currentDatabase() AND has({tables:Array(String)}, table) GROUP BY table ORDER BY table",
    {"tables": list(TABLES)},
)
"""Also answered by the read-only server."""


def held(client: Client) -> list[Held]:
    """The content of each table with a retention."""
    there = {row["table"]: row for row in ask(client, HELD)}
    days = kept_days(client)
    nothing = {"rows": 0, "size_bytes": 0, "oldest": "", "newest": ""}
    found = []
    for table in TABLES:
        row = there.get(table, nothing)
        found.append(
            Held(table, int(row["rows"]), int(row["size_bytes"]), str(row["oldest"]), str(row["newest"]), days.get(table, 0))
        )
    return found


def set_days(client: Client, wanted: Mapping[str, int], who: str, why: str) -> list[str]:
    """Sets how long tables are kept; returns the tables for which that is a change."""
    now = kept_days(client)
    changed = [table for table, days in wanted.items() if now.get(table) != days]
    for table in changed:
        keep_days(client, table, wanted[table], who, why)
    return changed


def _newest_ms(client: Client) -> int:
    """The midnight of the newest day with stored rows; 0 if there are none."""
    with explained(client.uri):
        rows = client.query(
            "SELECT max(toUInt32OrZero(partition)) FROM system.parts "
            "WHERE active AND database = {database:String} AND table IN {tables:Array(String)}",
            parameters={"database": DATABASE, "tables": list(TABLES)},
        ).result_rows
    newest = int(rows[0][0]) if rows else 0
    return round(datetime.strptime(f"{newest}+0000", "%Y%m%d%z").timestamp() * 1000) if newest else 0


def _whole_days(client: Client) -> dict[str, int]:
    """By default a server refuses to drop more than 50 GB at once. A day of a large carrier is more."""
    name = "max_partition_size_to_drop"  # allowed beside a query since ClickHouse 23.12
    return {name: 0} if name in client.server_settings else {}


def oldest_kept(now_ms: int, days: int) -> str:
    """The oldest day that stays: `days` whole days, today among them.

    >>> oldest_kept(1_764_028_800_000, days=7), oldest_kept(0, days=1)
    ('20251119', '19700101')
    """
    today = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{today - timedelta(days=days - 1):%Y%m%d}"
