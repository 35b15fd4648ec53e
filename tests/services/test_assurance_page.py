"""The assurance report as texts: what a director reads first, in which order, and what is never left out."""

from __future__ import annotations

from html import unescape
from io import BytesIO

import pypdf
import pytest

from assurance.controls.protocol import Item, Result
from assurance.report import Claim, ComparedBill, Report, report
from services.assurance_page import as_html, as_pdf, page

UNIT = 10**9
NOW_MS = 1_794_000_000_000


@pytest.fixture(scope="module")
def made() -> Report:
    item = Item("account acme, trunk <sbc>: 3 answered calls were sold to nobody", 3, 7 * UNIT, "EUR")
    latest = [
        Result(control="rating_verification", status="passed", checked=900, sales={"EUR": 1_000 * UNIT}),
        Result(control="unbilled_calls", status="found", checked=900, count=3, money={"EUR": 7 * UNIT}, items=(item,)),
        Result(control="negative_margin", status="found", checked=900, count=1, money={"USD": 2 * UNIT}),
        Result(control="traffic_by_hour", status="not_checked", why_not="no warehouse"),
    ]
    earlier = [Result(control="unbilled_calls", status="found", checked=900, count=5, money={"EUR": 12 * UNIT})]
    bills = [ComparedBill("alpha", "A-7", "EUR", 130 * UNIT, 100 * UNIT, 30 * UNIT, {"rate": 20 * UNIT, "minutes": 10 * UNIT, "rate|fx": 4 * UNIT})]
    claims = [Claim("alpha", "rate", "credited", "EUR", 20 * UNIT, 15 * UNIT), Claim("alpha", "minutes", "sent", "EUR", 10 * UNIT, None)]
    claims += [Claim("acme", "rate", "credited", "EUR", 3 * UNIT, 2 * UNIT, False), Claim("acme", "minutes", "sent", "EUR", 4 * UNIT, None, False)]
    return report("t1", "2026-10", latest, earlier, bills, claims, [("2026-09", {"EUR": UNIT}), ("2026-10", {"EUR": 37 * UNIT})])


def test_the_first_page_says_how_much_what_became_of_it_and_what_was_not_checked(made: Report):
    found = page(made, NOW_MS)
    assert [one[:2] for one in found["headline"]] == [("found", "37.00"), ("prevented", "5.00"), ("recovered", "15.00")]
    assert found["headline"][0][2] == "leaks, 3.70% of the sales" and found["suspected"] == "4.00"
    assert [one[1] for one in found["standing"]] == ["15.00", "10.00", "5.00", "7.00"], "together what was found"
    words = " ".join(found["summary"])
    assert "3 of 4 controls could look, at calls sold for 1,000.00 EUR; 2 found something." in words
    assert "2 disputes with carriers, of which 10.00 EUR are open." in words and "2 disputes of customers with us, of which 4.00 EUR" in words
    assert "Not checked: traffic by hour." in words and "2.00 USD found" in words
    assert [one[1] for one in found["controls"]] == ["found", "found", "not checked", "passed"]


def test_html_and_pdf_say_the_same_and_escape_what_switches_wrote(made: Report):
    html = as_html(made, NOW_MS)
    assert "<sbc>" not in html and "trunk <sbc>" in unescape(html)
    path = BytesIO(as_pdf(made, NOW_MS))
    first = pypdf.PdfReader(path).pages[0].extract_text()
    for words in ("37.00", "date and signature", "Where the money stands", "not acted on", "expected: every answered call has a sale"):
        assert words in " ".join(first.split()) and words in unescape(html), words
