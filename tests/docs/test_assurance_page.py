"""docs/assurance.md, as a finance person follows it: every command in it is run in its order, and what the page shows is what the command says."""

from __future__ import annotations

import re
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from assurance.reconcile.causes import CAUSES
from services.pickups import sources_of
from switches.sftp import known_hosts, number_of

console = SimpleNamespace(**run_path(str(Path(__file__).with_name("console.py"))))
PAGE = Path(__file__).parents[2] / "docs" / "assurance.md"


def shape(line: str) -> str:
    """A line without its figures and dates."""
    return " ".join(re.sub(r"[+-]?\d[\d,.:-]*", "#", line).split())


def test_every_command_of_the_page_does_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    ran, name = [], ""
    for words, shown in console.steps(PAGE.read_text()):
        words, shown = ([text.replace("RECONCILIATION", name) for text in texts] for texts in (words, shown))
        output = console.check(words, shown, "var", shape, (0, 1) if words[0] == "controls" else (0,), RINGFENCE_COUNTRIES="AT")
        if words[0] == "reconcile":
            name = re.search(r"Kept as (\S+):", output)[1]  # type: ignore[index]
        ran.append(words[0])
    assert {*ran} == {"simulate", "reconcile", "disputes", "controls", "assure"}
    assert Path("october.pdf").read_bytes().startswith(b"%PDF") and "Revenue assurance, 2026-10" in Path("october.html").read_text()


def test_the_list_of_sources_of_the_page_can_be_read(tmp_path: Path):
    (tmp_path / "sources.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])
    (one,) = sources_of(tmp_path / "sources.yaml")
    assert number_of(one, "alpha_0042.csv") == 42 and known_hosts(one)


def test_the_page_has_every_cause():
    text = PAGE.read_text()
    assert [cause for cause in CAUSES if f"`{cause}`" not in text and cause != "unexplained"] == []
