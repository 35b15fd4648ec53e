"""What `status` says of records that never came."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from core import schemas
from core.topics import CALLS
from journal import Entry, open_journal
from ringfence import first_start
from ringfence.cli import app
from ringfence.settings import Settings
from warehouse import insert, migrate, open_warehouse

MINUTE_AGO_MS = time.time_ns() // 1_000_000 - 60_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    settings = Settings(home=tmp_path, tenant="t1", countries="AT")
    first_start.lay(settings)
    first_start.open_and_publish(settings, first_start.starter("t1"), 1)
    return tmp_path


def store(home: Path, *seqs: int, boot_id: str = "1763", learned_ms: int = MINUTE_AGO_MS, **facts: object) -> None:
    """Rows of a switch's records with these numbers, and as many records in the journal."""
    writer = open_journal(Settings(home=home).journal_dsn).writer(CALLS, 0)
    writer.append([Entry(b"t1", b"{}", learned_ms)] * (max(seqs) + 1))
    writer.close()
    blank = {name: "" if dtype == pl.String else None for name, dtype in schemas.JUDGED.items()}
    rows = [
        {"tenant": "t1", "switch": "k1", "boot_id": boot_id, "seq": seq, "partition": 0, "offset": seq, "event": "setup"}
        | {"learned_ms": learned_ms, "at_ms": learned_ms, "disposition": "event"}
        | facts
        for seq in seqs
    ]
    client = open_warehouse(Settings(home=home).warehouse_dsn)
    try:
        migrate(client)
        insert(client, "records", pl.DataFrame([blank | row for row in rows], schema=schemas.JUDGED).to_arrow())
    finally:
        client.close()


def status(home: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["status", "--home", str(home), *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_records_that_never_came_are_counted_and_named_by_boot(home: Path):
    store(home, 3, 4, 8, 10)
    said = status(home)
    assert "6 of 1 boots" in said
    assert "t1/k1 boot 1763: 6 lost: 1-2, 5-7, 9" in said
    assert "lost" not in json.loads(status(home, "--json")), "the keys for programs stay what they are"


def test_normal_running_shows_none(home: Path):
    store(home, *range(1, 50))
    assert re.search(r"^lost +none", status(home), re.M)


def test_what_may_still_be_on_its_way_is_not_called_lost(home: Path):
    store(home, 1, 5, learned_ms=time.time_ns() // 1_000_000)
    assert re.search(r"^lost +none", status(home), re.M)


def test_ends_that_nobody_tied_are_counted(home: Path):
    store(home, 1, event="answer", account="acme", call_id="c1", call_key="k1", learned_ms=MINUTE_AGO_MS - 8 * 3_600_000)
    store(home, 2, event="stop", disposition="unrated", account="", call_id="c1", call_key="k2")
    said = " ".join(status(home).split())
    assert "orphans 1 stops name no account and share a Call-ID with a call that does" in said
    assert "untold 1 calls were answered hours ago and have no price and no end" in said
