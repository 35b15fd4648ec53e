"""docs/decks.md, as a person follows it: every command in it is run in its order, and what the page shows is what the command says."""

from __future__ import annotations

import csv
import re
import time
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import polars as pl
import pytest

from core import schemas
from ringfence.settings import Settings
from services import first_start
from warehouse import insert, migrate, open_warehouse

console = SimpleNamespace(**run_path(str(Path(__file__).with_name("console.py"))))
PAGE = Path(__file__).parents[2] / "docs" / "decks.md"
MINUTE_MS = 60_000


def shape(line: str) -> str:
    """A line without its figures: traffic and the day differ, words and columns do not."""
    return " ".join(re.sub(r"[+-]?\d[\d,.]*", "#", line).split())


def store_traffic(settings: Settings, calls: Path) -> None:
    """What the demo would have stored by now: the simulator's attempts, as of the last minutes."""
    client = open_warehouse(settings.installation.warehouse_dsn)
    migrate(client)
    blank = {name: "" if dtype == pl.String else None for name, dtype in schemas.ATTEMPTS.items()}
    at_ms = round(time.time() * 1000) - 30 * MINUTE_MS
    rows = []
    with calls.open() as file:
        for at, row in enumerate(csv.DictReader(file)):
            rows.append(
                blank
                | {
                    "partition": 0, "offset": at, "revision": 1, "learned_ms": at_ms, "tenant": "t1", "call_key": f"{at:032x}", "attempt_no": 1,
                    "carrier": row["carrier"], "b_number": row["b_number"], "at_ms": at_ms, "answered": bool(row["answer"]),
                    "duration_ms": round(float(row["duration_s"] or 0) * 1000),
                }
            )  # fmt: skip
    insert(client, "attempts", pl.DataFrame(rows, schema=schemas.ATTEMPTS).to_arrow())
    client.close()


def test_every_command_of_the_page_does_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home", tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.simulated(1, "t1"), round(time.time() * 1000))
    ran = []
    for words, shown in console.steps(PAGE.read_text()):
        console.check(words, shown, settings.root, shape)
        if words[0] == "simulate":
            store_traffic(settings, tmp_path / "day" / "calls.csv")
        ran.append(words[1] if words[0] == "decks" else words[0])
    assert set(ran) >= {"import", "diff", "simulate", "compare", "activate", "list", "rollback"}
