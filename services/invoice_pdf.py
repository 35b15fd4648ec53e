"""Invoices as PDF/A-3b, set by Typst from a template, a brand and the words of a language.

The data go to the template as a file of texts: markup in a name stays what it is, letters. Fonts come with the package (Noto: Latin, Greek, Cyrillic,
Arabic, Chinese, Japanese, Korean), so that every machine makes the same page; a letter that they lack is an error that names it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import typst

from assurance.invoice import Document
from assurance.rounding import to_minor
from assurance.tax import EXEMPT, OUTSIDE, REVERSE_CHARGE, TaxLine
from books.invoices import Invoice
from core.billing import Legal
from core.money import to_text
from core.text import visible
from services.errors import ServiceError

TEMPLATES = Path(__file__).parent / "templates"
FONTS = {"fontpkg_noto_sans": "files", "fontpkg_noto_sans_arabic": "files", "noto_cjk_sans_otc": "."}
"""Packages of fonts, and where in them the files are."""


class NotPrinted(ServiceError):
    """The PDF cannot be made; the text says why: a letter without a glyph, a broken brand."""


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """`brand.json` in a folder of brands/: a colour as #RRGGBB, the name of a logo beside it (SVG or PNG), and texts for the top and the foot, by
    language or "" for all. Words of a language may be changed by a file texts/LANGUAGE.json beside it. `title` and `hosts`: of the customers' portal:
    its name, and the host names at which it opens under this brand."""

    primary: str = "#1b4f72"
    logo: str = ""
    intro: dict[str, str] = {}
    footer: dict[str, str] = {}
    title: str = ""
    hosts: tuple[str, ...] = ()


PLAIN = Brand()


@dataclass(frozen=True)
class Style:
    """A brand, its folder (None = none), and the words of languages."""

    brand: Brand = PLAIN
    folder: Path | None = None
    words: dict[str, dict[str, Any]] = field(default_factory=dict)


def style_of(brands: Path, name: str) -> Style:
    """The style of a brand by its name; "" = the plain one. Raises `NotPrinted`."""
    if not name:
        return Style()
    folder = brands / name
    try:
        brand = msgspec.json.decode((folder / "brand.json").read_bytes(), type=Brand)
        words = {file.stem: msgspec.json.decode(file.read_bytes(), type=dict[str, Any]) for file in sorted(folder.glob("texts/*.json"))}
    except (OSError, msgspec.MsgspecError) as wrong:
        raise NotPrinted(f"Brand {name!r}: {folder / 'brand.json'} cannot be read: {wrong}.") from None
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", brand.primary):
        raise NotPrinted(f"Brand {name!r}: primary {brand.primary!r} is not a colour such as #1b4f72.")
    if brand.logo and (Path(brand.logo).name != brand.logo or not (folder / brand.logo).is_file()):
        raise NotPrinted(f"Brand {name!r}: there is no logo {brand.logo!r} in {folder}.")
    return Style(brand, folder, words)


@lru_cache
def _words(language: str) -> dict[str, Any]:
    file = TEMPLATES / "texts" / f"{language}.json"
    found: dict[str, Any] = msgspec.json.decode((file if file.exists() else TEMPLATES / "texts" / "en.json").read_bytes(), type=dict[str, Any])
    return found


@lru_cache
def fonts() -> typst.Fonts:
    """All fonts, read once."""
    found: list[str] = []
    for package, folder in FONTS.items():
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise NotPrinted(f"The fonts of {package} are not installed: install Ringfence's requirements again.")
        found.append(str(Path(spec.submodule_search_locations[0]) / folder))
    return typst.Fonts(font_paths=found, include_system_fonts=False)


def pdf(invoice: Invoice, style: Style) -> bytes:
    """The PDF of an invoice, issued or not. Raises `NotPrinted`."""
    return render(data_of(invoice, invoice.read(), style), style)


def render(data: dict[str, Any], style: Style, image: bool = False) -> bytes:
    """The template with some data: a PDF, or the first page as PNG."""
    with tempfile.TemporaryDirectory(prefix="ringfence-invoice-") as home:
        root = Path(home)
        shutil.copy(TEMPLATES / "invoice.typ", root / "invoice.typ")
        (root / "data.json").write_bytes(msgspec.json.encode(data))
        if style.folder is not None and style.brand.logo:
            shutil.copy(style.folder / style.brand.logo, root / style.brand.logo)
        compiler = _compiler(root)
        try:
            if image:
                pages: Any = compiler.compile(format="png", ppi=90)
                found: bytes = pages[0] if isinstance(pages, list) else pages
                return found
            made: Any = compiler.compile(format="pdf", pdf_standards=["a-3b"])
        except typst.TypstError as wrong:
            raise NotPrinted(f"The PDF of {data['title']} cannot be made: {_plain(str(wrong))}") from None
        return bytes(made)


def _compiler(root: Path) -> Any:
    return typst.Compiler(str(root / "invoice.typ"), root=str(root), font_paths=fonts())


def _plain(text: str) -> str:
    if found := re.search(r'the text `"(.*?)"` could not be displayed', text):
        letters = " ".join(f"U+{ord(letter):04X}" for letter in found[1])
        return f"the fonts have no glyph for {found[1]!r} ({letters}); write it in another script"
    return text


# --- data ---


def data_of(invoice: Invoice, document: Document, style: Style) -> dict[str, Any]:
    """What the template shows: words and amounts as texts, in the party's language."""
    language = document.party.legal.language or "en"
    words = {**_words(language), **style.words.get(language, {})}
    shown = _Shown(words, document)
    number = invoice.number or words["draft"]
    issued = date.fromisoformat(_day(invoice.issued_at_ms or invoice.at_ms))
    due = date.fromisoformat(_day(invoice.due_ms)) if invoice.due_ms else None
    heading = words["credit_note"] if document.kind == "credit_note" else words["invoice"]
    first, last = date.fromisoformat(document.from_day), date.fromordinal(date.fromisoformat(document.until_day).toordinal() - 1)
    facts = [[words["number"], number], [words["date"], shown.day(issued)], [words["period"], f"{shown.day(first)} – {shown.day(last)}"]]
    facts += [[words["due"], shown.day(due)]] if due and document.kind == "invoice" else []
    facts += [[words["of_invoice"], document.of_invoice]] if document.of_invoice else []
    facts += [[words["customer"], document.party.name]]
    left = document.total - invoice.paid
    notes = [_reason(tax, document, words) for tax in document.taxes if tax.reason]
    notes += [document.why] if document.why else []
    if document.kind == "invoice" and document.issuer.iban and due and document.swap is None and left > 0:
        notes.append(words["pay"].format(total=shown.money(left), due=shown.day(due), iban=document.issuer.iban, number=number))
    if document.swap is not None:
        sides = (document.swap.sold.deal_nanos, document.swap.bought.deal_nanos, document.swap.net_nanos)
        ours, theirs, net = (shown.money(to_minor(nanos, document.decimals)) for nanos in sides)
        notes.append(words["swap"].format(ours=ours, theirs=theirs, net=net))
    if any(line.kind == "late" for line in document.lines):
        notes.append(words["correction"])
    totals = [[words["net"], shown.money(document.net)]]
    named = [(tax, tax.label if tax.tax else words["tax"]) for tax in document.taxes if tax.label]
    totals += [[f"{name} {shown.number(tax.percent)} %", shown.money(tax.amount)] for tax, name in named]
    paid = [[words["paid"], shown.money(-invoice.paid)], [words["to_pay"], shown.money(left)]] if invoice.paid else []
    brand = style.brand
    shown_data: dict[str, Any] = _visible({
        "title": f"{heading} {number}", "heading": f"{heading} {number}", "lang": language, "rtl": words["direction"] == "rtl", "words": words,
        "date": [issued.year, issued.month, issued.day],
        "brand": {"primary": brand.primary}, "logo": brand.logo or None, "issuer": _company(document.issuer.legal, document.issuer.name, words),
        "party": _company(document.party.legal, document.party.name, words), "facts": facts,
        "intro": brand.intro.get(language, brand.intro.get("", "")),
        "footer": brand.footer.get(language, brand.footer.get("", _footer(document, words))),
        "columns": shown.columns(), "rows": shown.rows(), "totals": totals,
        "total": shown.money(document.total), "paid": paid, "notes": notes, "rule": words["rounding"],
    })  # fmt: skip
    return shown_data


class _Shown:
    """Amounts and days in a language."""

    def __init__(self, words: dict[str, Any], document: Document) -> None:
        self.words, self.document = words, document
        self.calls = any(line.kind in ("calls", "late") for line in document.lines)

    def number(self, text: str) -> str:
        whole, _, decimals = f"{Decimal(text):,f}".partition(".")
        return whole.replace(",", self.words["thousands"]) + (self.words["decimal"] + decimals if decimals else "")

    def minor(self, minor: int) -> str:
        return self.number(str(Decimal(minor).scaleb(-self.document.decimals)))

    def money(self, minor: int) -> str:
        return f"{self.minor(minor)} {self.document.currency}"

    def day(self, day: date) -> str:
        text: str = self.words["day"]
        return text.format(day=day.day, month=self.words["months"][day.month - 1], year=day.year)

    def columns(self) -> list[str]:
        of_calls = [self.words[name] for name in ("calls", "minutes", "price")] if self.calls else []
        return [self.words["destination" if self.calls else "description"], *of_calls, f"{self.words['amount']} ({self.document.currency})"]

    def rows(self) -> list[list[str]]:
        found = []
        for line in self.document.lines:
            calls = line.kind in ("calls", "late")
            text = self.words[line.kind] if line.kind in ("commitment", "true_up") else line.text
            text = self.words["credit"].format(number=self.document.of_invoice) if line.kind == "credit" else text
            text += f" ({self.words['late']})" if line.kind == "late" else ""
            minutes = self.number(str((Decimal(line.charged_s) / 60).quantize(Decimal("0.01")))) if calls else ""
            price = self.number(to_text(line.per_min_nanos)) if calls else ""
            of_calls = [self.number(str(line.calls)) if calls else "", minutes, price] if self.calls else []
            found.append([text or "–", *of_calls, self.minor(line.amount)])
        return found


def _reason(tax: TaxLine, document: Document, words: dict[str, Any]) -> str:
    """Why a tax is 0, in the party's language where it is one of our reasons."""
    if tax.reason == REVERSE_CHARGE:
        return str(words["reverse_charge"])
    if tax.reason.startswith(EXEMPT):
        return str(words["exempt"].format(certificate=tax.reason.removeprefix(EXEMPT)))
    countries = {"issuer": document.issuer.legal.country, "party": document.party.legal.country}
    return str(words["outside"].format(**countries)) if tax.reason == OUTSIDE.format(**countries) else tax.reason


def _company(legal: Legal, name: str, words: dict[str, Any]) -> dict[str, Any]:
    town = " ".join(filter(None, (legal.postcode, legal.city)))
    lines = [*legal.address, town, legal.country, f"{words['vat_number']} {legal.vat_number}" if legal.vat_number else "", legal.email]
    return {"name": legal.legal_name or name, "lines": [line for line in lines if line]}


def _footer(document: Document, words: dict[str, Any]) -> str:
    issuer = document.issuer
    registration = f"{words['registration']} {issuer.registration}" if issuer.registration else ""
    bank = f"IBAN {issuer.iban}" + (f", BIC {issuer.bic}" if issuer.bic else "") if issuer.iban else ""
    return " · ".join(filter(None, (issuer.legal.legal_name or issuer.name, registration, bank)))


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def _visible(value: Any) -> Any:
    """All texts without control characters and characters that turn the reading direction: they cannot be printed, and could forge a line."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _visible(one) for key, one in value.items()}
    return [_visible(one) for one in value] if isinstance(value, list) else value
