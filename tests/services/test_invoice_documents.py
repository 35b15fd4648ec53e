"""Invoices as PDF: brands, languages, markup in names, letters without a glyph, the e-invoice inside."""

from __future__ import annotations

import io
import time
from pathlib import Path

import facturx
import msgspec
import polars as pl
import pypdf
import pytest
from lxml import etree

from assurance.invoice import Document, Line
from assurance.rounding import allocated
from assurance.tax import REVERSE_CHARGE, TaxLine
from books.invoices import Invoice
from core.billing import Legal, LegalEntity
from core.config import Party
from core.spreadsheet import neutralised
from services import e_invoice, invoice_pdf
from services.invoice_pdf import NotPrinted, Style, data_of, render, style_of

DAY_MS = 86_400_000
ISSUED = 1_764_633_600_000  # 2025-12-02
RING = LegalEntity(
    tenant="t1", name="ring", iban="AT611904300234573201", bic="BKAUATWW", registration="FN 123456a",
    legal=Legal(legal_name="Ring Telecom GmbH", address=("Ringstraße 1",), postcode="1010", city="Wien", country="AT", vat_number="ATU13585627"),
)  # fmt: skip


def invoice(party: Legal, lines: tuple[Line, ...] = (), tax: TaxLine | None = None, kind: str = "invoice", issuer: LegalEntity = RING) -> Invoice:
    lines = lines or (
        Line(kind="calls", text="Austria Mobile", amount=12_345, exact_nanos="123450000000", calls=1_234, charged_s=74_070, per_min_nanos=10**8),
        Line(kind="late", text="Germany", amount=-55, exact_nanos="-550000000", calls=-1, charged_s=-60, per_min_nanos=20_000_000),
        Line(kind="fee", text="SIP trunk", amount=3_000, exact_nanos="30000000000"),
    )  # fmt: skip
    net = sum(line.amount for line in lines)
    tax = tax or TaxLine(tax="at", label="USt", percent="20", row="... to ...", category="S", base=net, amount=round(net * 0.2), rounding="invoice")
    document = Document(
        kind=kind, currency="EUR", decimals=2, issuer=issuer, party=Party(tenant="t1", name="acme", legal=party), agreement="home",
        from_day="2025-11-01", until_day="2025-12-01", payment_days=30, lines=lines, taxes=(tax,), net=net, tax=tax.amount, total=net + tax.amount,
        of_invoice="RF-2025-000001" if kind == "credit_note" else "",
    )  # fmt: skip
    return Invoice(
        "invoice-1", "t1", "acme", "home", "EUR", 1, kind, "issued", "ring", "RF-2025-000002", "", 0, 0, 1, 0, "answer", "2025-11-01", "2025-12-01",
        msgspec.json.encode(document).decode(), net, tax.amount, net + tax.amount, "", "ops", ISSUED, ISSUED + 30 * DAY_MS, ISSUED,
    )  # fmt: skip


ACME = Legal(legal_name="ACME AG", address=("Hauptplatz 1",), postcode="8010", city="Graz", country="AT", vat_number="ATU13585627")
GREEK = Legal(legal_name="Αθήνα Τηλεπικοινωνίες Α.Ε.", address=("Οδός Ερμού 5",), city="Αθήνα", country="GR", language="el")
ARABIC = Legal(legal_name="شركة الاتصالات العربية", address=("شارع الملك فيصل 12",), city="دبي", country="AE", language="ar")
CHINESE = Legal(legal_name="北京电信有限公司", address=("长安街 1 号",), city="北京", country="CN", language="zh")


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


@pytest.mark.parametrize(
    ("party", "words"),
    [(ACME, ["Invoice RF-2025-000002", "ACME AG", "1,234", "123.45", "-0.55", "SIP trunk", "USt 20 %", "EUR"]), (GREEK, ["Τιμολόγιο", "123,45"]),
     (ARABIC, ["RF-2025-000002"]), (CHINESE, ["账单 RF-2025-000002", "北京电信有限公司"]),
     (msgspec.structs.replace(ACME, language="de"), ["Rechnung", "1.234"])],
)  # fmt: skip
def test_an_invoice_is_printed_in_the_partys_language(party: Legal, words: list[str]):
    text = text_of(invoice_pdf.pdf(invoice(party), Style()))
    assert [word for word in words if word not in text] == []


def test_markup_in_a_name_is_letters():
    name = '#set page(fill: red) <script>alert(1)</script> $x$ [*bold*] \\ "quoted" `raw` @ref'
    text = text_of(invoice_pdf.pdf(invoice(msgspec.structs.replace(ACME, legal_name=name)), Style()))
    squeezed = "".join(text.split())
    assert "".join(name.split()) in squeezed


def test_a_credit_note_has_no_columns_of_calls_and_its_reason_in_the_partys_language():
    german = msgspec.structs.replace(ACME, country="DE", language="de")
    tax = TaxLine(tax="", label="VAT", percent="0", row="", category="AE", base=-500, amount=0, rounding="", reason=REVERSE_CHARGE)
    line = Line(kind="credit", text="Credit for invoice RF-2025-000001", amount=-500, exact_nanos="0")
    text = text_of(invoice_pdf.pdf(invoice(german, (line,), tax, "credit_note"), Style()))
    assert "Gutschrift zur Rechnung RF-2025-000001" in text and "Steuerschuldnerschaft des Leistungsempfängers" in text
    assert "Minuten" not in text and "Credit for" not in text


def test_what_was_paid_beforehand_is_taken_off():
    one = invoice(ACME)
    part, whole = text_of(invoice_pdf.pdf(one._replace(paid=10_000), Style())), text_of(invoice_pdf.pdf(one._replace(paid=one.total), Style()))
    assert "To pay" in part and "83.48 EUR" in part and "Please pay 83.48 EUR until" in part
    assert "To pay" in whole and "Please pay" not in whole
    assert "Paid already" not in text_of(invoice_pdf.pdf(one, Style()))


def test_what_turns_the_reading_direction_is_not_printed():
    data = data_of(invoice(msgspec.structs.replace(ACME, legal_name="ACME\u202eGA\x07")), invoice(ACME).read(), Style())
    assert data["party"]["name"] == "ACME AG"
    shown = invoice(msgspec.structs.replace(ACME, legal_name="ACME\u202eGA\x07"))
    assert data_of(shown, shown.read(), Style())["party"]["name"] == "ACME�GA�"


def test_a_letter_without_a_glyph_is_named():
    with pytest.raises(NotPrinted, match=r"the fonts have no glyph for '𒀀' \(U\+12000\)"):
        invoice_pdf.pdf(invoice(msgspec.structs.replace(ACME, legal_name="𒀀 Ltd")), Style())


def test_a_brand_has_its_colour_logo_and_texts(tmp_path: Path):
    folder = tmp_path / "ring"
    (folder / "texts").mkdir(parents=True)
    logo = '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><rect width="120" height="40" fill="#c0392b"/></svg>'
    (folder / "logo.svg").write_text(logo)
    (folder / "brand.json").write_text('{"primary": "#c0392b", "logo": "logo.svg", "intro": {"de": "Danke!"}, "footer": {"": "Ring, Wien"}}')
    (folder / "texts" / "de.json").write_text('{"invoice": "Faktura"}')
    text = text_of(invoice_pdf.pdf(invoice(msgspec.structs.replace(ACME, language="de")), style_of(tmp_path, "ring")))
    assert "Faktura RF-2025-000002" in text and "Danke!" in text and "Ring, Wien" in text
    (folder / "brand.json").write_text('{"primary": "red"}')
    with pytest.raises(NotPrinted, match="primary 'red' is not a colour"):
        style_of(tmp_path, "ring")
    (folder / "brand.json").write_text('{"logo": "../../secret.png"}')
    with pytest.raises(NotPrinted, match="there is no logo"):
        style_of(tmp_path, "ring")
    with pytest.raises(NotPrinted, match="cannot be read"):
        style_of(tmp_path, "none")


def test_three_hundred_lines_are_printed_at_once_and_with_the_same_bytes():
    lines = tuple(Line(kind="calls", text=f"Destination {n}", amount=n, exact_nanos="0", calls=n, charged_s=60 * n) for n in range(300))
    big = invoice(ACME, lines)
    first = invoice_pdf.pdf(big, Style())
    began = time.monotonic()
    assert invoice_pdf.pdf(big, Style()) == first
    assert time.monotonic() - began < 10
    assert len(pypdf.PdfReader(io.BytesIO(first)).pages) > 5


def test_the_e_invoice_is_inside_the_pdf():
    one = invoice(ACME)
    xml = e_invoice.cii(one)
    name, found = facturx.get_facturx_xml_from_pdf(e_invoice.inside(invoice_pdf.pdf(one, Style()), xml))
    assert name == "factur-x.xml" and found == xml
    total = etree.fromstring(xml).find(".//{*}GrandTotalAmount").text
    assert total == f"{one.total / 100:.2f}"


def test_what_the_standard_does_not_know_has_no_e_invoice():
    with pytest.raises(e_invoice.NoEInvoice, match="no legal name or country"):
        e_invoice.cii(invoice(Legal(country="AT")))
    with pytest.raises(e_invoice.NoEInvoice, match="is not issued"):
        e_invoice.cii(invoice(ACME)._replace(status="approved"))


def test_cells_that_a_spreadsheet_would_compute_are_texts():
    frame = pl.DataFrame({"account": ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "acme"], "a_number": ["43664", "", "=1", "anonymous", "+43"]})
    assert neutralised(frame).to_dict(as_series=False) == {
        "account": ["'=cmd|' /C calc'!A0", "'+1", "'-1", "'@x", "acme"], "a_number": ["'+43664", "", "'=1", "anonymous", "'+43"],
    }  # fmt: skip


def test_the_first_page_can_be_looked_at_as_a_picture():
    one = invoice(ACME)
    assert render(data_of(one, one.read(), Style()), Style(), image=True).startswith(b"\x89PNG")
    assert sum(allocated([1, 2, 3], 2)) == 0
