"""Writes the list of decisions: each by its own first line. `make docs` runs it."""

from __future__ import annotations

from pathlib import Path

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"
HEAD = "# Decisions\n\nTen lines each: what was decided, what was tried, and what would change it. The list is made by `make docs`.\n\n"


def listed() -> str:
    """The text of `docs/decisions/index.md`."""
    pages = sorted(path for path in DECISIONS.glob("*.md") if path.name != "index.md")
    return HEAD + "".join(f"- [{path.read_text().split(chr(10), 1)[0].lstrip('# ')}]({path.name})\n" for path in pages)


if __name__ == "__main__":
    (DECISIONS / "index.md").write_text(listed())
