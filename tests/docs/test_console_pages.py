"""Pages of the docs whose every command is run, in order."""

from __future__ import annotations

import time
from pathlib import Path
from runpy import run_path

import pytest

from ringfence.settings import Settings
from services import first_start

run = run_path(str(Path(__file__).with_name("console.py")))["run"]



@pytest.mark.parametrize(
    ("page", "last"),
    [("known-ranges.md", "ranges forget"), ("notifications.md", "notify remove"), ("lists.md", "lists remove"), ("test-calls.md", "testcalls")],
)
def test_every_command_of_the_page_says_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, last: str):
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home", tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), round(time.time() * 1000))
    assert run(page, settings.root)[-1] == last
