"""Runs the commands of a page of the docs, as a person follows it: its files are written, and what it shows is what the commands say."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from ringfence.cli import app

DOCS = Path(__file__).parents[2] / "docs"


def run(page: str, home: Path) -> list[str]:
    """Runs the `console` blocks of a page in the current directory, and returns the names of the commands."""
    text = (DOCS / page).read_text()
    for name, content in re.findall(r"```(?:csv|yaml)\n# (\S+)\n(.*?)```", text, re.DOTALL):
        Path(name).write_text(content)
    ran = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)]
            result = CliRunner().invoke(app, words[1:], env={"RINGFENCE_HOME": str(home)})
            assert result.exit_code == 0, f"{command}\n{result.output}"
            for line in shown:
                assert line == "..." or line in result.output.splitlines(), f"{command}\n  the page shows: {line}\n{result.output}"
            ran.append(" ".join(words[1:3]))
    return ran
