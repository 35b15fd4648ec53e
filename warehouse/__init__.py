"""Where records are stored: ClickHouse, embedded in the process that inserts or behind HTTP, by one address."""

from __future__ import annotations

from clickhouse_connect.driver.client import Client as Warehouse

from warehouse.errors import WarehouseDown, WarehouseError, WarehouseHeld
from warehouse.migrations import migrate, pending
from warehouse.opening import DATABASE, embedded_directory, open_warehouse
from warehouse.queries import Query
from warehouse.retention import apply_retention, held, keep_days, kept_days, set_days
from warehouse.rows import ask, insert

__all__ = [
    "DATABASE",
    "Query",
    "Warehouse",
    "WarehouseDown",
    "WarehouseError",
    "WarehouseHeld",
    "apply_retention",
    "ask",
    "embedded_directory",
    "held",
    "insert",
    "keep_days",
    "kept_days",
    "migrate",
    "open_warehouse",
    "pending",
    "set_days",
]
