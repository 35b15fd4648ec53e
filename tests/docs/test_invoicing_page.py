"""docs/invoicing.md, as a person follows it: every command in it is run in its order, on two months of simulated and judged traffic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from books import open_books
from core import schemas, topics
from flows.step import State, judge
from journal import open_journal
from ringfence.cli import app
from ringfence.settings import Settings
from services.in_force import from_books
from warehouse import insert, migrate, open_warehouse

PAGE = Path(__file__).parents[2] / "docs" / "invoicing.md"


def blocks() -> Iterator[tuple[str, list[str]]]:
    """Each command of the page, with the lines that are shown below it; the years are today's."""
    page = PAGE.read_text().replace("RF-2026-", f"RF-{datetime.now(UTC).year}-")
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


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
    for command, shown in blocks():
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)]
        assert words[0] == "ringfence"
        result = CliRunner().invoke(app, words[1:], env={"RINGFENCE_HOME": str(tmp_path / "home"), "RINGFENCE_TENANT": "t1"})
        assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"
        if words[1] == "simulate":
            judged(settings)
        if words[1:3] == ["config", "show"]:
            merge(tmp_path / "mine" / "config.yaml")
        assert "Batch 1: 0 charges" not in result.output
        said = [shape(line) for line in result.output.splitlines()]
        for line in shown:
            assert line == "..." or shape(line) in said, f"{command}\n  the page shows: {line}\n{result.output}"
        ran.append(" ".join(words[1:3]))
    assert {"books prove", "invoices run", "invoices credit", "payments record", "invoices export", "books audit"} <= set(ran)
