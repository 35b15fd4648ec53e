"""Writes the list of controls into `build/controls.md`, from their registry. `make docs` runs it; `docs/assurance.md` takes it in."""

from __future__ import annotations

from pathlib import Path

from assurance.controls.protocol import Control
from assurance.controls.registry import controls

LIST = Path("build/controls.md")


def listed() -> str:
    """One section per control: what it asks, how, and what then."""
    return "\n".join(map(section, controls()))


def section(control: Control) -> str:
    rows = [
        ("computed", control.formula), ("let pass", control.tolerance), ("money", control.money), ("asked", control.schedule),
        ("then", control.remedy),
    ]  # fmt: skip
    table = "\n".join(f"| {name} | {text} |" for name, text in rows)
    return f"### {control.name}\n\nAsks whether {control.asks}.\n\n| | |\n| --- | --- |\n{table}\n"


def write(folder: Path) -> None:
    """The list into `build` of a folder that holds `mkdocs.yml`."""
    (folder / LIST).parent.mkdir(exist_ok=True)
    (folder / LIST).write_text(listed())


if __name__ == "__main__":
    write(Path(__file__).parents[2])
