"""docs/routing.md, as a person follows it: its files are written, its commands run in their order, and what it shows is what they say."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringfence.cli import app
from ringfence.settings import Settings
from services import first_start

PAGE = (Path(__file__).parents[2] / "docs" / "routing.md").read_text()


def test_every_command_of_the_page_says_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home", tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), round(time.time() * 1000))
    files = re.findall(r"```(?:csv|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    for name, text in files:
        Path(name).write_text(text)
    ran = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)]
            assert words[0] == "ringfence"
            result = CliRunner().invoke(app, words[1:], env={"RINGFENCE_HOME": str(tmp_path / "home")})
            assert result.exit_code == (shown[0].startswith("No route")), f"{command}\n{result.output}"
            for line in shown:
                assert line == "..." or line in result.output.splitlines(), f"{command}\n  the page shows: {line}\n{result.output}"
            ran.append(words[1])
    assert ran == ["config", "route", "route", "route"] and len(files) == 4
