"""`ringfence simulate --calls`: traffic of all families as files, or one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringfence.cli import app


def test_traffic_of_two_families_is_written(tmp_path: Path) -> None:
    out = tmp_path / "town"
    wanted = ["--calls", "1500", "--family", "irsf_burst", "--family", "wangiri", "--out", str(out)]
    result = CliRunner().invoke(app, ["simulate", *wanted, "--home", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "2 attacks and" in result.output
    assert {one.name for one in out.iterdir()} == {"calls.csv", "mapping.yaml", "decks", "truth.json", "labels.csv"}


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--calls", "1500"], "name the directory with --out"),
        (["--calls", "1500", "--family", "irfs", "--out", "x"], "no family 'irfs'; there are call_looping"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, arguments: list[str], what: str) -> None:
    result = CliRunner().invoke(app, ["simulate", *arguments, "--home", str(tmp_path)])
    assert result.exit_code != 0
    assert what in result.output.replace("\n", " ")
