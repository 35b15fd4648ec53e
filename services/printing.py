"""A page as PDF, set by Typst from a template of this package. Data go to it as a file, never as markup; the same data are the same bytes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"


def pdf(template: str, data: dict[str, Any]) -> bytes:
    """The PDF of a template (`NAME.typ`) with its data."""
    import typst

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "page.typ").write_text((TEMPLATES / f"{template}.typ").read_text())
        (folder / "data.json").write_text(json.dumps(data, ensure_ascii=False))
        found: bytes = typst.compile(str(folder / "page.typ"), root=str(folder), format="pdf", timestamp=0)
        return found
