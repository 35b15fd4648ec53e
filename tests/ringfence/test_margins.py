"""`ringfence margins`, over charges as judge stores them: a correction and a rating run count once."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from core import schemas
from ringfence.cli import app
from ringfence.settings import Settings
from services import first_start
from warehouse import insert, migrate, open_warehouse


def charge(offset: int, level: int, party: str, nanos: int, currency: str = "EUR", revision: int = 1) -> dict[str, object]:
    blank: dict[str, object] = {name: "" if dtype == pl.String else 0 for name, dtype in schemas.CHARGES.items()}
    own = {"tenant": "t1", "offset": offset, "revision": revision, "role": "sell", "level": level, "party": party, "nanos": nanos}
    return blank | own | {"currency": currency, "learned_ms": 1_764_072_000_000}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    settings = Settings(home=tmp_path / "home", tenant="t1")
    first_start.lay(settings.installation)
    client = open_warehouse(settings.installation.warehouse_dsn)
    migrate(client)
    # level: 0 the customer, 1 north, 2 root. The second call was corrected; the third is in another currency above north.
    calls = [
        charge(1, 0, "shop", 100_000_000), charge(1, 1, "north", 80_000_000), charge(1, 2, "root", 50_000_000),
        charge(2, 0, "shop", 900_000_000), charge(2, 1, "north", 800_000_000),
        charge(2, 0, "shop", 10_000_000, revision=2), charge(2, 1, "north", 8_000_000, revision=2), charge(2, 2, "root", 5_000_000, revision=2),
        charge(3, 0, "shop", 100_000_000), charge(3, 1, "north", 70_000_000, "USD"),
        charge(4, 0, "direct", 100_000_000),
    ]  # fmt: skip
    insert(client, "charges", pl.DataFrame(calls, schema=schemas.CHARGES).to_arrow())
    client.close()
    return tmp_path / "home"


def test_what_each_level_takes_pays_and_keeps(home: Path):
    done = CliRunner().invoke(app, ["margins", "--json", "--home", str(home)])
    assert done.exit_code == 0, done.output
    assert [(row["level"], row["party"], row["calls"], row["takes"], row["pays"], row["keeps"]) for row in json.loads(done.output)] == [
        (1, "north", 2, "0.11", "0.088", "0.022"), (1, "north", 1, "0.1", "0.07", None), (2, "root", 2, "0.088", "0.055", "0.033"),
    ]  # fmt: skip
    shown = CliRunner().invoke(app, ["margins", "--home", str(home)], env={"COLUMNS": "200"}).output
    assert "north" in shown and "0.02 EUR" in shown and "0.07 USD" in shown
