"""Invoices as PDF are PDF/A-3b, as veraPDF sees it: plain and branded, with the e-invoice inside, in every script."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pdfa
import pypdf
import pytest
from made_invoices import ABROAD, HOME, RING, legal, made
from PIL import Image

from assurance.invoice import Usage
from core.billing import Legal
from services import e_invoice, invoice_pdf
from services.invoice_pdf import Style, style_of

LOGO = '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><rect width="120" height="40" rx="9" fill="#c0392b" opacity="0.5"/></svg>'


def brands(folder: Path) -> None:
    """Two brands: a logo that is drawn, half transparent, and one of pixels with an alpha channel."""
    picture = io.BytesIO()
    Image.new("RGBA", (120, 40), (10, 200, 90, 128)).save(picture, "PNG")
    for name, logo, content in (("rosso", "logo.svg", LOGO.encode()), ("verde", "logo.png", picture.getvalue())):
        (folder / name).mkdir()
        (folder / name / logo).write_bytes(content)
        (folder / name / "brand.json").write_bytes(msgspec.json.encode({"primary": "#117a65", "logo": logo, "intro": {"": "Thank you."}}))


def party(name: str, language: str, country: str = "AT") -> Legal:
    return msgspec.structs.replace(legal(country), legal_name=name, language=language)


PAPERS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("", {}),
    "credit note": ("", {"credited": 500}),
    "german": ("rosso", {"party": party("Söhne & Töchter AG", "de")}),
    "reverse charge": ("verde", {"party": ABROAD}),
    "greek": ("rosso", {"party": party("Αθήνα Τηλεπικοινωνίες Α.Ε.", "el")}),
    "arabic": ("verde", {"party": party("شركة الاتصالات العربية", "ar", "AE")}),
    "chinese": ("verde", {"party": party("北京电信有限公司", "zh", "CN")}),
    "many pages": ("rosso", {"party": HOME, "usage": tuple(Usage(f"Zone {n}", n, False, n, 60, n * 10**7) for n in range(300))}),
}


@pytest.mark.real
def test_every_invoice_is_pdfa(need: Any, tmp_path: Path):
    need("verapdf")
    brands(tmp_path)
    files = []
    for name, (brand, how) in PAPERS.items():
        one = made(issuer=msgspec.structs.replace(RING, brand=brand), **how)
        style = style_of(tmp_path, brand) if brand else Style()
        files.append(tmp_path / f"{name.replace(' ', '-')}.pdf")
        files[-1].write_bytes(e_invoice.inside(invoice_pdf.pdf(one, style), e_invoice.cii(one)))
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(files[0].with_name("none.pdf"))
    assert [*pdfa.faults([*files, files[0].with_name("none.pdf")])] == ["none.pdf"]
