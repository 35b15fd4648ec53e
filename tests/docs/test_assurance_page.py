"""docs/assurance.md, as a finance person follows it: every command in it is run in its order, and what the page shows is what the command says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assurance.reconcile.causes import CAUSES
from ringfence.cli import app
from services.pickups import sources_of
from switches.sftp import known_hosts, number_of

PAGE = Path(__file__).parents[2] / "docs" / "assurance.md"


def blocks() -> Iterator[tuple[str, list[str]]]:
    """Each command of the page, with the lines that are shown below it."""
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


def shape(line: str) -> str:
    """A line without its figures and dates."""
    return " ".join(re.sub(r"[+-]?\d[\d,.:-]*", "#", line).split())


def test_every_command_of_the_page_does_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    ran, name = [], ""
    for command, shown in blocks():
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command.replace("RECONCILIATION", name))]
        assert words[0] == "ringfence"
        result = CliRunner().invoke(app, words[1:], env={"RINGFENCE_HOME": "var", "RINGFENCE_COUNTRIES": "AT"})
        assert result.exit_code == 0 or (words[1] == "controls" and result.exit_code == 1), f"{command}\n{result.output}"
        said = [shape(line) for line in result.output.splitlines()]
        for line in shown:
            assert line == "..." or shape(line.replace("RECONCILIATION", name)) in said, f"{command}\n  the page shows: {line}\n{result.output}"
        if words[1] == "reconcile":
            name = re.search(r"Kept as (\S+):", result.output)[1]  # type: ignore[index]
        ran.append(words[1])
    assert {*ran} == {"simulate", "reconcile", "disputes", "controls", "assure"}
    assert Path("october.pdf").read_bytes().startswith(b"%PDF") and "Revenue assurance, 2026-10" in Path("october.html").read_text()


def test_the_list_of_sources_of_the_page_can_be_read(tmp_path: Path):
    (tmp_path / "sources.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])
    (one,) = sources_of(tmp_path / "sources.yaml")
    assert number_of(one, "alpha_0042.csv") == 42 and known_hosts(one)


def test_the_page_has_every_cause():
    text = PAGE.read_text()
    assert [cause for cause in CAUSES if f"`{cause}`" not in text and cause != "unexplained"] == []
