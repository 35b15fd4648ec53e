"""A warehouse of one test, and rows to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from core import schemas
from warehouse import Warehouse, insert, open_warehouse

NOON = 1_764_072_000_000  # 2025-11-25 12:00:00 UTC
DAY_MS = 86_400_000


def table(schema: pl.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as Arrow: a missing value is "" in text and null in numbers."""
    blank = {name: "" if dtype == pl.String else None for name, dtype in schema.items()}
    return pl.DataFrame([blank | row for row in rows], schema=schema).to_arrow()


def record(offset: int, disposition: str = "event", **facts: Any) -> dict[str, Any]:
    """A row of `records`."""
    row = {"tenant": "t1", "switch": "k1", "boot_id": "b1", "seq": offset, "event": "stop", "partition": 0, "offset": offset}
    return row | {"learned_ms": NOON + offset, "at_ms": NOON + offset, "disposition": disposition} | facts


def call(offset: int, sell_nanos: int, revision: int = 1, **facts: Any) -> dict[str, Any]:
    """A call and its money: facts of a row of `calls`, and what `charges_of` makes of `sell_nanos`, `buy_nanos` and so on."""
    row = {"tenant": "t1", "switch": "k1", "account": "acme", "partition": 0, "offset": offset, "revision": revision, "config_version": 0}
    row |= {"record_partition": 0, "record_offset": offset + revision, "learned_ms": NOON + offset, "attempts": 1}
    row |= {"answer_ms": NOON, "end_ms": NOON + 60_000, "duration_ms": 60_000, "billable_s": 60, "call_key": f"{offset:032x}"}
    row |= {"sell_nanos": sell_nanos, "sell_currency": "EUR", "buy_nanos": sell_nanos // 2, "buy_currency": "EUR"}
    return row | {"suspected_hung": False, "suspected_duplicate": False} | facts


def charges_of(one: dict[str, Any], run: int = 0) -> list[dict[str, Any]]:
    """The rows of `charges` of a call: its sale and, where `buy_nanos` is no None, its purchase."""
    base = {name: 0 for name, dtype in schemas.CHARGES.items() if dtype != pl.String}
    base |= {name: one[name] for name in schemas.CHARGES if name in one} | {"start_ms": one["answer_ms"], "run": run}
    sale = base | {"role": "sell", "party": one["account"], "nanos": one["sell_nanos"], "currency": one["sell_currency"]}
    sale |= {"usage_nanos": one["sell_nanos"], "charged_s": one["billable_s"]}
    bought = base | {"role": "buy", "attempt_no": 1, "party": one.get("carrier", ""), "nanos": one["buy_nanos"]}
    bought |= {"usage_nanos": one["buy_nanos"], "currency": one["buy_currency"], "charged_s": one["billable_s"]}
    return [sale] if one["buy_nanos"] is None else [sale, bought]


def sell(client: Warehouse, *calls: dict[str, Any]) -> None:
    """Store calls with their charges."""
    facts = [{name: value for name, value in one.items() if name in schemas.CALLS} for one in calls]
    insert(client, "calls", table(schemas.CALLS, facts))
    insert(client, "charges", table(schemas.CHARGES, [charge for one in calls for charge in charges_of(one)]))


def records(*rows: dict[str, Any]) -> pa.Table:
    return table(schemas.JUDGED, list(rows))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "warehouse"


@pytest.fixture
def client(directory: Path, new_warehouse: Callable[[Path], None]) -> Iterator[Warehouse]:
    new_warehouse(directory)
    client = open_warehouse(f"chdb://{directory}")
    yield client
    client.close()


class Rows:
    """Builders, for tests that cannot import a conftest."""

    NOON, DAY_MS = NOON, DAY_MS
    record, call, charges_of = staticmethod(record), staticmethod(call), staticmethod(charges_of)
    records, sell, table = staticmethod(records), staticmethod(sell), staticmethod(table)


@pytest.fixture
def rows() -> type[Rows]:
    return Rows
