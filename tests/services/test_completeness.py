"""`ringfence completeness`: what arrived is stored once, and what never arrived has its number."""

from __future__ import annotations

import json
import time
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from core import schemas
from core.record import TICK_KEY
from core.topics import CALLS
from journal import Entry, open_journal
from ringfence.cli import app
from ringfence.settings import Settings
from services import completeness, first_start
from warehouse import insert, open_warehouse

LEARNED_MS = time.time_ns() // 1_000_000 - 60_000


@pytest.fixture
def home(tmp_path: Path, new_warehouse) -> Path:
    settings = Settings(home=tmp_path, tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), 1)
    new_warehouse(tmp_path / "warehouse")
    return tmp_path


def append(home: Path, kinds: str) -> None:
    """Messages of partition 0: `r` is a record, `t` a tick."""
    writer = open_journal(Settings(home=home).journal_dsn).writer(CALLS, 0)
    writer.append([Entry(TICK_KEY if kind == "t" else b"t1", b"{}", LEARNED_MS) for kind in kinds])
    writer.close()


def store(home: Path, seqs: dict[int, int], **facts: object) -> None:
    """Rows of `records`: offset -> the switch's number."""
    blank = {name: "" if dtype == pl.String else None for name, dtype in schemas.JUDGED.items()}
    row = blank | {"tenant": "t1", "switch": "k1", "boot_id": "b1", "partition": 0, "event": "setup", "learned_ms": LEARNED_MS}
    row |= {"at_ms": LEARNED_MS, "disposition": "event"} | facts
    client = open_warehouse(Settings(home=home).warehouse_dsn)
    try:
        rows = [row | {"offset": offset, "seq": seq} for offset, seq in seqs.items()]
        insert(client, "records", pl.DataFrame(rows, schema=schemas.JUDGED).to_arrow())
    finally:
        client.close()


def run(home: Path, exit_code: int, *options: str) -> str:
    result = CliRunner().invoke(app, ["completeness", "--home", str(home), *options])
    assert result.exit_code == exit_code, result.output
    return result.output


@pytest.mark.parametrize("read_through", [1, 10_000])
def test_a_complete_home_says_so_whatever_is_read_through(home: Path, monkeypatch: pytest.MonkeyPatch, read_through: int):
    monkeypatch.setattr(completeness, "READ_THROUGH", read_through)
    append(home, "rttrtrrrt" * 3)
    store(home, {offset: n + 1 for n, offset in enumerate(o for o in range(27) if "rttrtrrrt"[o % 9] == "r")})
    shown = run(home, 0)
    assert "received 15 = rated 0 + unrated 0 + events 15 + rejected 0 + duplicates 0 + conflicts 0" in shown
    assert "Complete." in shown
    found = json.loads(run(home, 0, "--json"))
    first = found["partitions"][0]
    assert (first["received"], first["ticks"], first["lost"], first["upto"]) == (15, 11, [], 26)


@pytest.mark.parametrize("read_through", [1, 10_000])
def test_what_is_missing_is_listed_with_its_place(home: Path, monkeypatch: pytest.MonkeyPatch, read_through: int):
    monkeypatch.setattr(completeness, "READ_THROUGH", read_through)
    append(home, "rtrrrtrr")
    store(home, {0: 1, 3: 2, 7: 6})
    store(home, {4: 7}, disposition="unrated", reason="no rate for 999")
    shown = run(home, 1)
    assert "received 4 = rated 0 + unrated 1 + events 3" in shown
    assert "calls/0: 2 records are in the journal and not in the warehouse, at offsets 2, 6" in shown
    assert "switch k1, boot b1: records 3 to 5 (3) never arrived, between " in shown
    assert "1 unrated: no rate for 999" in shown
    assert "Not complete" in shown


def test_a_number_in_two_partitions_is_listed(home: Path):
    append(home, "r")
    store(home, {0: 1})
    store(home, {0: 1}, partition=3)
    assert "switch k1, boot b1: record 1 is in the partitions 0, 3" in run(home, 1)
