"""A page as PDF, set by Typst from a template of this package. Data go to it as a file, never as markup; the same data are the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import typst

from services.invoice_pdf import TEMPLATES, NotPrinted, fonts


def pdf(template: str, data: dict[str, Any]) -> bytes:
    """The PDF of a template (`NAME.typ`) with its data. Raises `NotPrinted`."""
    with tempfile.TemporaryDirectory(prefix="ringfence-page-") as name:
        root = Path(name)
        (root / "page.typ").write_bytes((TEMPLATES / f"{template}.typ").read_bytes())
        (root / "data.json").write_bytes(msgspec.json.encode(data))
        try:
            made: Any = typst.Compiler(str(root / "page.typ"), root=str(root), font_paths=fonts()).compile(format="pdf", timestamp=0)
        except typst.TypstError as wrong:
            raise NotPrinted(f"The PDF cannot be made: {wrong}") from None
        return bytes(made)
