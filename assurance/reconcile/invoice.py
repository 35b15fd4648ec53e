"""A party's invoice into `LINES`, with what it says of itself: number, period, currency, total."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import polars as pl

from assurance.reconcile.layout import Layout, is_amount
from assurance.reconcile.sides import LINES
from core.currencies import CURRENCIES
from core.decimals import number
from core.money import to_nanos
from rating.offers.finding import Findings, OfferError, refused
from rating.offers.places import date_in, places_of
from rating.offers.styles import bare_amount
from rating.offers.table import Row, Table

TOTAL = re.compile(
    r"^(?:grand |sub|invoice )?(?:total|totals|sum|summe|gesamt\w*|amount due|net total|net amount|total amount|rechnungsbetrag)\b", re.IGNORECASE
)
TAX = re.compile(r"\b(?:vat|tax|ust|mwst|iva|gst)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Invoice:
    """`total_nanos` None = the invoice has none. `period`: first and last day as ISO, "" = it does not say. Tax is left out: it is no matter of
    calls."""

    lines: pl.DataFrame
    findings: Findings
    total_nanos: int | None = None
    number: str = ""
    period: tuple[str, str] = ("", "")
    currency: str = ""


def read_invoice(table: Table, layout: Layout) -> Invoice:
    """The lines of an invoice. Raises `OfferError` where its columns are not there or no line can be read; other faults are findings.

    >>> from rating.offers.table import open_table
    >>> text = b"Invoice No;A-7\\nPeriod;2026-10-01;2026-10-31\\n"
    >>> text += b"Destination;Minutes;Amount EUR\\nAustria;100.50;1.21605\\nPort fee;;50\\nTotal;;51.21605\\n"
    >>> columns = {"destination": "Destination", "charged": "Minutes", "amount": "Amount EUR"}
    >>> found = read_invoice(open_table(text), Layout(columns=columns, charged_unit="min"))
    >>> found.lines.select("destination", "charged_s", "nanos").rows(), found.total_nanos, found.number, found.period, found.currency
    ([('Austria', 6030, 1216050000), ('Port fee', None, 50000000000)], 51216050000, 'A-7', ('2026-10-01', '2026-10-31'), 'EUR')
    """
    after, places, names = places_of(table, layout)
    findings = Findings()
    rows: list[dict[str, object]] = []
    total, currencies, above = None, set[str](), []
    for row in table.rows():
        if row.number <= after - layout.header_rows:
            above.append(row)
            continue
        if row.number <= after or (not row.fault and not any(row.cells)):
            continue
        if row.fault:
            findings.add("unreadable row", "error", row.fault, "correct the row, or ask for the invoice again", row.number)
            continue
        cells = [*row.cells, *[""] * (max(places.values()) + 1 - len(row.cells))]
        first = next((cell for cell in cells if cell), "")
        if TAX.search(first) and not TOTAL.match(first):
            findings.add("tax", "note", f"{first!r} is tax, and is left out", row=row.number)
            continue
        if TOTAL.match(first):
            amounts = [cell for cell in cells if cell and is_amount(cell)]
            if amounts and total is None:
                total = _nanos(amounts[-1], layout, findings, row.number, first)
            continue
        text = cells[places["amount"]]
        if not text and not any(cells[place] for field, place in places.items() if field != "destination"):
            findings.add("row left out", "note", f"{first[:40]!r} is a line of text, and is left out", row=row.number)
            continue
        nanos = _nanos(text, layout, findings, row.number, names["amount"])
        if nanos is None:
            continue
        unit = bare_amount(text)[1] or (cells[places["currency"]].upper() if "currency" in places else "")
        currencies |= {unit} - {""}
        if nanos < 0:
            findings.add("negative line", "warning", f"{first[:40]!r} is negative: {text}", "a credit is checked by itself: it is no call",
                row.number)
        rows.append(_line(row.number, cells, places, nanos, layout, findings, names))
    if not rows and findings.has_errors:
        raise OfferError(*(one for one in findings if one.level == "error"))
    if not rows:
        raise refused("empty file", "no row of the file is a line of an invoice", "look at the layout: which row has the headings?")
    lines = pl.DataFrame(rows, schema=LINES)
    summed = int(lines["nanos"].sum())
    if total is not None and total != summed:
        findings.add("total", "warning", f"the total is {_text(total)}, and the lines add up to {_text(summed)}: {_text(total - summed)} more",
                     "ask for a corrected invoice; the difference is dispute material as line_arithmetic")  # fmt: skip
    return Invoice(lines, findings, total, *_heading(above, names["amount"], currencies))


def _nanos(text: str, layout: Layout, findings: Findings, row: int, column: str) -> int | None:
    try:
        return to_nanos(number(bare_amount(text)[0].replace(" ", ""), layout.decimal, layout.thousands))
    except ValueError as wrong:
        findings.add("amount", "error", str(wrong) if text else "the amount is empty", "correct the row, or the layout", row, column)
        return None


def _line(
    number_of_row: int, cells: list[str], places: dict[str, int], nanos: int, layout: Layout, findings: Findings, names: dict[str, str]
) -> dict[str, object]:
    def cell(field: str) -> str:
        return cells[places[field]] if field in places else ""

    seconds = None
    for field, unit in (("charged", layout.charged_unit), ("talk", layout.talk_unit)):
        if cell(field) and seconds is None:
            seconds = _seconds(cell(field), unit, layout, findings, number_of_row, names[field])
    price = None
    if cell("price"):
        price = _nanos(cell("price"), layout, findings, number_of_row, names["price"])
    calls = cell("calls").replace(",", "").replace(".", "").replace("'", "").replace(" ", "")
    return {
        "line": number_of_row, "destination": cell("destination"), "prefix": "".join(filter(str.isdigit, cell("prefix"))),
        "calls": int(calls) if calls.isdigit() else None, "charged_s": seconds, "per_min_nanos": price, "nanos": nanos, "day": date_in(
            cell("day")) if cell("day") else "",
    }  # fmt: skip


def _seconds(text: str, unit: str, layout: Layout, findings: Findings, row: int, column: str) -> int | None:
    if unit == "clock" or ":" in text:
        parts = text.split(":")
        if all(part.isdigit() for part in parts) and 2 <= len(parts) <= 3:
            seconds = 0
            for part in parts:
                seconds = 60 * seconds + int(part)
            return seconds
    try:
        value = number(text.replace(" ", ""), layout.decimal, layout.thousands)
    except ValueError as wrong:
        findings.add("length", "error", str(wrong), "correct the row, or the layout", row, column)
        return None
    if value < 0:
        findings.add("length", "error", f"{text!r} is negative", "ask what it means", row, column)
        return None
    return round(value * {"min": 60, "s": 1, "ms": 1}.get(unit, 1) / (1000 if unit == "ms" else 1))


def _heading(above: list[Row], heading: str, currencies: set[str]) -> tuple[str, tuple[str, str], str]:
    """Number, period and currency, from the lines above the headings."""
    invoice, days, named = "", list[str](), ""
    for row in above:
        texts = [cell for cell in row.cells if cell]
        text = " ".join(texts)
        if not invoice and re.search(r"invoice|rechnung|factura|facture", text, re.IGNORECASE):
            found = re.search(r"(?:invoice|rechnung|factura|facture)\s*(?:no|nr|number|#)?[.:]?\s*([A-Za-z0-9][\w/-]*\d[\w/-]*)", text, re.IGNORECASE)
            invoice = found[1] if found else ""
        if not days and re.search(r"period|zeitraum|from|billing|periodo|période", text, re.IGNORECASE):
            spans = [one for cell in texts for one in re.split(r"\s+(?:-|–|to|bis|until)\s+", cell)]
            days = [day for cell in spans if (day := date_in(cell))]
        if re.search(r"curren|w.hrung|devise|moneda", text, re.IGNORECASE):
            named = next((word for word in re.findall(r"\b[A-Z]{3}\b", text) if word in CURRENCIES), named)
    inside = [word for word in re.findall(r"\b[A-Z]{3}\b", heading.upper()) if word in CURRENCIES]
    currency = next(iter(currencies)) if len(currencies) == 1 else "several" if currencies else named or (inside[0] if inside else "")
    for day in days:
        date.fromisoformat(day)
    return invoice, (days[0], days[-1]) if len(days) >= 2 else ("", ""), currency


def _text(nanos: int) -> str:
    return f"{nanos / 10**9:,.6f}".rstrip("0").rstrip(".")
