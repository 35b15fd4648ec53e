"""Runs the commands of a page of the docs, as a person follows it: its files are written, and what it shows is what the commands say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from typer.testing import CliRunner

from ringfence.cli import app

DOCS = Path(__file__).parents[2] / "docs"


def steps(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """The words of each command of a page after `ringfence`, and the lines that are shown below it."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            first, *words = (word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command))
            assert first == "ringfence", command
            yield words, shown


def check(
    words: Sequence[str], shown: Sequence[str], home: str | Path, shape: Callable[[str], str] = str, codes: Sequence[int] = (0,), **env: str
) -> str:
    """Runs a command, whose output has every line that the page shows, in any order. `shape`: a line without what differs from day to day."""
    command = " ".join(words)
    result = CliRunner().invoke(app, words, env={"RINGFENCE_HOME": str(home), **env})
    assert result.exit_code in codes, f"{command}\n{result.output}\n{result.exception!r}"
    printed = {shape(line) for line in result.output.splitlines()}
    for line in shown:
        assert line == "..." or shape(line) in printed, f"{command}\n  the page shows: {line}\n{result.output}"
    return result.output


def write_files(text: str) -> int:
    """Writes the files of a page into the current directory."""
    files = re.findall(r"```(?:csv|yaml)\n# (\S+)\n(.*?)```", text, re.DOTALL)
    for name, content in files:
        Path(name).write_text(content)
    return len(files)


def run(page: str, home: Path) -> list[str]:
    """Runs the `console` blocks of a page in the current directory, and returns the names of the commands."""
    text = (DOCS / page).read_text()
    write_files(text)
    ran = []
    for words, shown in steps(text):
        check(words, shown, home)
        ran.append(" ".join(words[:2]))
    return ran
