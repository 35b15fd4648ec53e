"""docs/routing.md, as a person follows it: its files are written, its commands run in their order, and what it shows is what they say."""

from __future__ import annotations

import time
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import msgspec
import pytest

from books import open_books
from core.message import Message
from core.record import Record, journal_key
from core.schemas import TABLES
from flows.step import State, judge
from ringfence.settings import Settings
from services import first_start, in_force
from services.installation import Installation
from warehouse import insert, open_warehouse
from warehouse import migrate as migrate_warehouse

console = SimpleNamespace(**run_path(str(Path(__file__).with_name("console.py"))))
PAGE = (Path(__file__).parents[2] / "docs" / "routing.md").read_text()

EVENING_MS = 1_764_097_200_000  # 2025-11-25 19:00 UTC


def store(installation: Installation, *calls: tuple[str, int]) -> None:
    """Calls of acme over beta, as judge and store would have stored them."""
    engine = open_books(installation.books_dsn)
    terms = in_force.from_books(engine)(2)
    engine.dispose()
    log = []
    for at, (number, seconds) in enumerate(calls):
        at_ms = EVENING_MS + 60_000 * at
        stop = Record(
            v=2, event="stop", switch="k1", boot_id="b", seq=at + 1, dialog_id=f"c{at}", call_id=f"c{at}", account="acme", ingress_trunk="in-acme",
            b_raw=number, carrier="beta", egress_trunk="beta-1", at_ms=at_ms + 1000 * seconds, answer_ms=at_ms if seconds else None, attempt_no=1,
            sip_code=200 if seconds else 486,
        )  # fmt: skip
        log.append(Message(0, at, at_ms, journal_key("t1", "acme", "in-acme"), msgspec.json.encode(stop)))
    outcome = judge(State(b"s" * 16), log, lambda _: terms)
    client = open_warehouse(installation.warehouse_dsn)
    migrate_warehouse(client)
    for table in TABLES:
        insert(client, table, outcome.table(table).to_arrow())
    client.close()


def test_every_command_of_the_page_says_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home", tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), round(time.time() * 1000))
    assert console.write_files(PAGE) == 5
    ran = []
    for words, shown in console.steps(PAGE):
        if words[0] == "rerate":
            store(settings.installation, ("43123456", 60), ("43664123456", 61), ("43664123456", 0))
        console.check(words, shown, settings.root, codes=(int(shown[0].startswith("No route")),))
        ran.append(words[0])
    assert ran == ["config", "route", "route", "route", "rerate"]
