"""docs/decks.md, as a person follows it: every command in it is run in its order, and what the page shows is what the command says."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from core import schemas
from ringfence.cli import app
from ringfence.settings import Settings
from services import first_start
from warehouse import insert, migrate, open_warehouse

PAGE = Path(__file__).parents[2] / "docs" / "decks.md"
MINUTE_MS = 60_000


def blocks() -> Iterator[tuple[str, list[str]]]:
    """Each command of the page, with the lines that are shown below it."""
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


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
    for command, shown in blocks():
        words = re.findall(r'"[^"]*"|\S+', command)
        assert words[0] == "ringfence"
        result = CliRunner().invoke(app, [word.strip('"') for word in words[1:]], env={"RINGFENCE_HOME": str(tmp_path / "home")})
        assert result.exit_code == 0, f"{command}\n{result.output}"
        if words[1] == "simulate":
            store_traffic(settings, tmp_path / "day" / "calls.csv")
        said = [shape(line) for line in result.output.splitlines()]
        for line in shown:
            assert line == "..." or shape(line) in said, f"{command}\n  the page shows: {line}\n{result.output}"
        ran.append(words[2] if words[1] == "decks" else words[1])
    assert set(ran) >= {"import", "diff", "simulate", "compare", "activate", "list", "rollback"}
