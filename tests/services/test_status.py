"""What `status` shows of records that never arrived."""

from __future__ import annotations

import io
import json
import re
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner
from until import until

from books import Connection, open_books, orders, switches, writing
from core import schemas
from core.decide import Decision
from core.orders import BlockOrder, Key
from core.topics import CALLS
from journal import Entry, open_journal
from ringfence.cli import app
from ringfence.ops.block_events import BlockEvents
from ringfence.ops.live_counts import LiveCounts
from ringfence.ops.stored_counts import StoredCounts
from ringfence.settings import Settings
from ringfence.terminal import Terminal
from services import first_start
from warehouse import WarehouseError, ask, insert, open_warehouse, queries

MINUTE_AGO_MS = time.time_ns() // 1_000_000 - 60_000


@pytest.fixture
def home(tmp_path: Path, new_warehouse) -> Path:
    settings = Settings(home=tmp_path, tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), 1)
    new_warehouse(tmp_path / "warehouse")
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
        insert(client, "records", pl.DataFrame([blank | row for row in rows], schema=schemas.JUDGED).to_arrow())
    finally:
        client.close()


def status(home: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["status", "--home", str(home), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_records_that_never_arrived_are_counted_and_listed_by_boot(home: Path):
    store(home, 3, 4, 8, 10)
    shown = status(home)
    assert "6 of 1 boots" in shown
    assert "t1/k1 boot 1763: 6 lost: 1-2, 5-7, 9" in shown
    assert "lost" not in json.loads(status(home, "--json")), "the keys for programs stay what they are"


def test_normal_running_shows_none(home: Path):
    store(home, *range(1, 50))
    assert re.search(r"^lost +none", status(home), re.M)


def test_a_recent_gap_is_not_counted_as_lost(home: Path):
    store(home, 1, 5, learned_ms=time.time_ns() // 1_000_000)
    assert re.search(r"^lost +none", status(home), re.M)


def test_loose_ends_are_counted(home: Path):
    store(home, 1, event="answer", account="acme", call_id="c1", call_key="k1", learned_ms=MINUTE_AGO_MS - 8 * 3_600_000)
    store(home, 2, event="stop", disposition="unrated", account="", call_id="c1", call_key="k2")
    shown = " ".join(status(home).split())
    assert "orphans 1 stops name no account and share a Call-ID with a call that does" in shown
    assert "unfinished 1 calls were answered hours ago and have no price and no end" in shown


def test_the_line_of_up_counts_what_came_before_as_status_does(home: Path):
    """Each offset once, however often it was stored; what came since is not in it."""
    store(home, 0, 1, 2, 3, disposition="rated")
    store(home, 2, 3, disposition="rated")
    store(home, 4, 5, disposition="reject")
    settings = Settings(home=home)
    ends = {0: 5, 1: 0, 2: 0, 3: 0}
    client = open_warehouse(settings.warehouse_dsn)
    try:
        found = {row["disposition"]: row["records"] for row in ask(client, queries.dispositions_below(ends))}
    finally:
        client.close()
    assert found == {"rated": 4, "reject": 1}
    shown = json.loads(status(home, "--json"))
    assert (shown["received"], shown["rated"], shown["rejected"]) == (6, 4, 2)


def test_who_asks_for_what_was_before_goes_on_until_all_of_it_is_stored(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ringfence.ops.stored_counts.FIRST_S", 0.001)
    answers = iter([WarehouseError("not up yet"), (Counter(rated=1), {0: 1}), (Counter(rated=3), {0: 4, 1: 8}), AssertionError("one too many")])

    def question() -> tuple[Counter[str], dict[int, int]]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    earlier = StoredCounts({0: 5, 1: 9}, question)
    until(lambda: earlier.counts == {"rated": 3}, 20)
    earlier.close()
    assert StoredCounts({0: 0}, question).counts == {}, "nothing was before: nothing is asked"


def test_blocks_are_keys_and_counted_alike_by_status_and_by_the_line_of_up(home: Path):
    settings, now_ms = Settings(home=home), time.time_ns() // 1_000_000
    engine = open_books(settings.books_dsn)
    try:
        with writing(engine) as conn:
            switches.add(conn, "k1", "loopback", "http://127.0.0.1:9/RPC", "a-token-of-sixteen", 0)
            switches.set_enforcing(conn, "k1", "t1", True, "test", "test", 0)
            for number in range(21):  # as an order that is issued again each minute, for six ranges
                key = Key(tenant="t1", account="acme", b_range=f"8821{number % 6}")
                keep(conn, f"o{number}", key, "standing", now_ms - number, now_ms + 60_000)
            keep(conn, "ended", Key(tenant="t1", account="gone"), "standing", now_ms - 9_000, now_ms - 1)
            keep(conn, "shadow", Key(tenant="t1", account="blue"), "shadow", now_ms, now_ms + 60_000)
            for number in range(2):
                keep(conn, f"waits{number}", Key(tenant="t1", account=f"w{number}"), "waiting", now_ms, now_ms + 60_000)
    finally:
        engine.dispose()
    store(home, 0, 1)
    arguments = "6 standing, 1 in shadow, 2 waiting for a person"
    assert re.search(rf"^blocks +{arguments} *$", status(home), re.M)
    assert json.loads(status(home, "--json"))["blocks"] == 6
    watched = BlockEvents(settings.books_dsn)
    watched.read(now_ms)
    watched.close()
    out = io.StringIO()
    Terminal(Console(file=out, width=500)).update(LiveCounts(open_journal(settings.journal_dsn)), watched.counts, {}, now_ms)
    assert f"blocks {arguments}" in out.getvalue()


def keep(conn: Connection, order_id: str, key: Key, status: str, at_ms: int, until_ms: int) -> None:
    order = BlockOrder(
        order_id=order_id, key=key, action="refuse", created_at_ms=at_ms, learned_ms=at_ms, expires_at_ms=until_ms, finding_id="", reason="r"
    )
    orders.write(conn, order, Decision(status, "", True, order.expires_at_ms), at_ms, automatic=True)
