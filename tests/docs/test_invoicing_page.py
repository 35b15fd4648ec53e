"""docs/invoicing.md, as a person follows it: every command in it is run in its order, on two months of simulated and judged traffic."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import yaml

from books import open_books
from core import schemas, topics
from flows.step import State, judge
from journal import open_journal
from ringfence.settings import Settings
from services.in_force import from_books
from warehouse import insert, migrate, open_warehouse

console = SimpleNamespace(**run_path(str(Path(__file__).with_name("console.py"))))
PAGE = Path(__file__).parents[2] / "docs" / "invoicing.md"


def shape(line: str) -> str:
    """A line without its figures: traffic and the day differ, words and columns do not."""
    return " ".join(re.sub(r"[+-]?\d[\d,.]*(?:-\d+)*", "#", line).split())


def judged(settings: Settings) -> None:
    """What `ringfence up` does with the journal: judge prices, store inserts."""
    journal, state = open_journal(settings.journal_dsn), State(b"secret")
    contracts = from_books(open_books(settings.books_dsn))
    client = open_warehouse(settings.warehouse_dsn)
    migrate(client)
    for partition in range(journal.partitions(topics.CALLS)):
        reader, end = journal.reader(topics.CALLS, partition, 0), journal.end_offset(topics.CALLS, partition)
        while reader.offset < end:
            messages = []
            while reader.offset < end and len(messages) < 20_000:
                messages += reader.read()
            outcome = judge(state, messages, contracts)
            for table in reversed(schemas.TABLES):
                insert(client, table, outcome.table(table).to_arrow())
        reader.close()
    client.close()


def merge(file: Path) -> None:
    """Adds the rows of the page to the config."""
    (wanted,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    config = yaml.load(file.read_text(), yaml.BaseLoader)
    for key, rows in yaml.load(wanted, yaml.BaseLoader).items():
        config[key] = [*config.get(key, []), *rows]
    file.write_text(yaml.safe_dump(config, allow_unicode=True))


@pytest.mark.slow
def test_every_command_of_the_page_does_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home", tenant="t1", countries="AT")
    ran = []
    for words, shown in console.steps(PAGE.read_text().replace("RF-2026-", f"RF-{datetime.now(UTC).year}-")):
        assert "Batch 1: 0 charges" not in console.check(words, shown, settings.root, shape, RINGFENCE_TENANT="t1")
        if words[0] == "simulate":
            judged(settings)
        if words[:2] == ["config", "show"]:
            merge(tmp_path / "mine" / "config.yaml")
        ran.append(" ".join(words[:2]))
    assert {"books prove", "invoices run", "invoices credit", "payments record", "invoices export", "books audit"} <= set(ran)
