"""An installation whose warehouse is open, and charges to put into it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from books import Connection, Engine, open_books, tenants, writing
from core import schemas
from ringfence.settings import Settings
from services import first_start
from services.installation import Installation
from warehouse import Warehouse, insert, open_warehouse


def table(schema: pl.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    blank = {name: "" if kind == pl.String else False if kind == pl.Boolean else 0 for name, kind in schema.items()}
    blank |= dict.fromkeys(("setup_ms", "answer_ms"))
    return pl.DataFrame([blank | row for row in rows], schema=schema).to_arrow()


class Charges:
    """Stores charges, and the records of their calls up to an offset."""

    def __init__(self, client: Warehouse) -> None:
        self.client = client

    def store(self, *rows: dict[str, Any], upto: int = 100) -> None:
        blank = {"record_partition": 0, "revision": 1, "currency": "EUR", "tenant": "t1", "role": "sell", "charged_s": 60, "call_key": "k"}
        made = [blank | {"usage_nanos": row["nanos"], "record_offset": row["offset"], "learned_ms": row["start_ms"]} | row for row in rows]
        insert(self.client, "charges", table(schemas.CHARGES, made))
        learned = {row["record_offset"]: row["learned_ms"] for row in made}  # a charge is learned of with its record
        records = [{"partition": 0, "offset": at, "learned_ms": learned.get(at, 1_764_072_000_000), "tenant": "t1"} for at in range(upto)]
        insert(self.client, "records", table(schemas.JUDGED, records))


@pytest.fixture
def engine(tmp_path: Path, new_books: Path) -> Iterator[Engine]:
    """The books of a tenant t1."""
    shutil.copy(new_books, tmp_path / "books.db")
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    with writing(engine) as conn:
        tenants.add(conn, "t1", 1)
    yield engine
    engine.dispose()


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with writing(engine) as conn:
        yield conn


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    settings = Settings(home=tmp_path / "home", tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), 1)
    return settings.installation


@pytest.fixture
def charges(installed: Installation, new_warehouse: Callable[[Path], None]) -> Iterator[Charges]:
    new_warehouse(installed.root / "warehouse")
    client = open_warehouse(installed.warehouse_dsn)
    yield Charges(client)
    client.close()
