"""Draws the invoices of docs/invoicing.md, after a change of the template or its words: `python docs/invoice_pictures.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))

import msgspec
import pypdfium2
from made_invoices import CALLS, EURO, LATE, RING, made

from assurance.invoice import Usage
from core.billing import Discount, Fee, Legal
from services import invoice_pdf

IMAGES = Path(__file__).parent / "images"
GERMAN = Legal(
    legal_name="Söhne & Töchter AG", address=("Hauptplatz 1",), postcode="8010", city="Graz", country="AT", vat_number="ATU13585627", language="de"
)
ARABIC = Legal(legal_name="شركة الاتصالات العربية", address=("شارع الملك فيصل 12",), city="دبي", country="AE", language="ar")
CHINESE = Legal(legal_name="北京电信有限公司", address=("长安街 1 号",), city="北京", country="CN", language="zh")
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="160" height="40"><circle cx="20" cy="20" r="16" fill="none" stroke="{0}" stroke-width="6"/>'
    '<rect x="48" y="8" width="104" height="10" fill="{0}"/><rect x="48" y="24" width="68" height="10" fill="{0}" opacity="0.5"/></svg>'
)
FEES, OFF = (Fee(text="SIP trunk", amount_nanos=30 * EURO),), (Discount(text="Loyal customer", percent="10"),)


def main() -> None:
    usage = (CALLS, Usage("Germany Mobile", 87_500_000, False, 312, 20_100, 29_312_500_000), LATE)
    for name, party, primary in (("de", GERMAN, "#1b4f72"), ("ar", ARABIC, "#b03a2e"), ("zh", CHINESE, "#1e8449")):
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / name
            folder.mkdir()
            (folder / "logo.svg").write_text(LOGO.format(primary))
            (folder / "brand.json").write_bytes(msgspec.json.encode({"primary": primary, "logo": "logo.svg"}))
            issuer = msgspec.structs.replace(RING, brand=name)
            one = made(issuer=issuer, party=party, usage=usage, fees=FEES, discounts=OFF)._replace(paid=5_000 if name == "de" else 0)
            document = pypdfium2.PdfDocument(invoice_pdf.pdf(one, invoice_pdf.style_of(Path(home), name)))
        page = document[0].render(scale=1.0).to_pil()
        page.crop((0, 0, page.width, round(page.height * 0.66))).quantize(64).save(IMAGES / f"invoice-{name}.png", optimize=True)
        document.close()


if __name__ == "__main__":
    main()
