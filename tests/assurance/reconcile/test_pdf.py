"""Invoices that come as PDF: set by another program, with columns that are aligned to the right, pages that repeat their heading, and a fee."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path

import pypdf
import pytest
import typst

from assurance.reconcile.invoice import Invoice, read_invoice
from assurance.reconcile.layout import Layout, guess
from assurance.reconcile.pdf import open_file, open_pdf
from rating.offers.finding import OfferError

PAGE = """#let d = json("data.json")
#set page(width: 16cm, height: 9cm, margin: 1.5cm, header: [Alpha Telecom Ltd #h(1fr) Vienna],
  footer: context [Page #counter(page).display("1 of 1", both: true)])
#set text(font: "Noto Sans", size: 9pt)
Invoice No: A-2026-10 \\
Billing period: 01.10.2026 to 31.10.2026 \\
Currency: EUR
#table(columns: (1fr, auto, auto, auto, auto), align: (left, right, right, right, right), stroke: none, inset: 4pt,
  table.header([Destination], [Calls], [Minutes], [Price/min], [Amount]), ..d.flatten().map(one => [#one]))
Please pay within 30 days.
"""
LINES = [
    ["Austria Mobile A1", "1,204", "2,410.50", "0.0283", "68.22"], ["Austria", "12", "9.00", "0.0121", "0.11"],
    ["Germany Special Services 0180", "3", "4.25", "0.0980", "0.42"], *[[f"Egypt {n}", "10", "20.00", "0.1245", "2.49"] for n in range(20)],
    ["Port fee October", "", "", "", "50.00"], ["Total", "1,419", "2,823.75", "", "168.55"],
]  # fmt: skip


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return printed(tmp_path_factory.mktemp("pdf"), LINES)


def printed(root: Path, lines: list[list[str]]) -> bytes:
    (root / "page.typ").write_text(PAGE)
    (root / "data.json").write_text(json.dumps(lines))
    return bytes(typst.Compiler(str(root / "page.typ"), root=str(root)).compile(format="pdf"))  # type: ignore[arg-type]


def read(content: bytes, layout: Layout | None = None) -> Invoice:
    table, _ = open_file(content, "invoice", layout)
    return read_invoice(table, layout or guess(table, "invoice").layout)


def test_the_lines_of_a_pdf_are_those_of_the_invoice(pdf: bytes):
    assert len(pypdf.PdfReader(BytesIO(pdf)).pages) > 1
    found = read(pdf)
    assert found.lines["destination"].to_list() == [line[0] for line in LINES[:-1]]
    assert found.lines.select("calls", "charged_s", "per_min_nanos", "nanos").row(0) == (1204, 144_630, 28_300_000, 68_220_000_000)
    assert found.lines.select("calls", "charged_s", "per_min_nanos", "nanos").row(-1) == (None, None, None, 50_000_000_000)
    assert (found.number, found.period, found.currency) == ("A-2026-10", ("2026-10-01", "2026-10-31"), "EUR")
    assert found.total_nanos == found.lines["nanos"].sum() == 168_550_000_000
    assert not [one for one in found.findings if one.level != "note"]


def test_a_layout_says_where_the_columns_are(pdf: bytes):
    _, edges = open_file(pdf, "invoice")
    by_number = Layout(columns={"destination": "#1", "charged": "#3", "amount": "#5"}, charged_unit="min", thousands=",", pdf_edges=edges)
    assert read(pdf, by_number).lines["nanos"].to_list() == read(pdf).lines["nanos"].to_list()
    wrong = Layout(columns={"destination": "#1", "amount": "#2"}, pdf_edges=(100.0,), ignore=("Austria",))
    assert read(pdf, wrong).findings.has_errors


@pytest.mark.parametrize(
    ("what", "says"),
    [("broken", "cannot be read: .*ask for the file again"), ("picture", "a picture of an invoice"), ("password", "has a password"),
        ("no table", "no column of amounts")],
)  # fmt: skip
def test_a_pdf_that_is_no_invoice_is_refused_with_what_to_do(tmp_path: Path, pdf: bytes, what: str, says: str):
    writer = pypdf.PdfWriter()
    if what == "picture":
        writer.add_blank_page(200, 200)
    elif what == "password":
        writer.append(pypdf.PdfReader(BytesIO(pdf)))
        writer.encrypt("secret", algorithm="AES-256")
    elif what == "no table":
        writer.append(pypdf.PdfReader(BytesIO(printed(tmp_path, []))))
    path = tmp_path / "one.pdf"
    if what == "broken":
        path.write_bytes(pdf[:300])
    else:
        writer.write(path)
    with pytest.raises(OfferError) as wrong:
        guess(open_pdf(path.read_bytes(), "invoice")[0], "invoice")
    assert re.search(says, " ".join(one.text() for one in wrong.value.findings))
