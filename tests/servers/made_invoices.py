"""Issued invoices of every kind, by the functions that make them, without books or warehouse."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from assurance.cycles import Period
from assurance.invoice import Document, Terms, Usage, build, credit
from books.invoices import Invoice
from core.billing import Exemption, Invoicing, Legal, LegalEntity, StackedTax, Swap, SwapSide, TaxProfile, TaxRate, TaxTable
from core.config import Agreement, Party

NOVEMBER = Period(date(2026, 11, 1), date(2026, 12, 1), 0, 0)
ISSUED, DUE = 1_796_083_200_000, 1_798_675_200_000  # 2026-12-01 and -31
EURO = 10**9
AT = TaxTable(tenant="t1", name="at", label="USt", country="AT", rates=(TaxRate(percent="20"),))
ZERO = TaxTable(tenant="t1", name="ie", label="VAT", country="IE", rates=(TaxRate(percent="0"),))
ODD = TaxTable(tenant="t1", name="ch", label="MWST", country="CH", rates=(TaxRate(percent="8.1"),))
GB = TaxTable(tenant="t1", name="gb", label="VAT", country="GB", rates=(TaxRate(percent="20"),))
STATE, CITY = (TaxTable(tenant="t1", name=name, rates=(TaxRate(percent=percent),)) for name, percent in (("state", "6.25"), ("city", "1.5")))
TABLES = {one.name: one for one in (AT, ZERO, ODD, GB, STATE, CITY)}
VAT = TaxProfile(tenant="t1", name="vat")
BY_LINE = TaxProfile(tenant="t1", name="vat", rounding="line")
NONE = TaxProfile(tenant="t1", name="none", kind="none", reason="Small business, no VAT (§ 6 UStG)")
US = TaxProfile(tenant="t1", name="us", kind="stacked", stack=(StackedTax(tax="state"), StackedTax(tax="city", base="net_and_taxes")))
SALES_TAX = TaxProfile(tenant="t1", name="us", kind="stacked", stack=(StackedTax(tax="state"),))
RING = LegalEntity(
    tenant="t1", name="ring", iban="AT611904300234573201", bic="BKAUATWW", registration="FN 123456a",
    legal=Legal(legal_name="Ring Telecom GmbH", address=("Ringstraße 1",), postcode="1010", city="Wien", country="AT", vat_number="ATU13585627"),
)  # fmt: skip
BARE = msgspec.structs.replace(RING, registration="", iban="", bic="")
NO_VAT = msgspec.structs.replace(RING, legal=Legal(legal_name="Ring GmbH", country="AT"))
NOBODY = msgspec.structs.replace(NO_VAT, registration="")


def legal(country: str, **values: Any) -> Legal:
    return Legal(legal_name='Blue & <Söhne> "GmbH"', address=("Allee 2", "Stiege 1", "Tür 3", "Hof"), city="Stadt", country=country, **values)


HOME, ABROAD, OUTSIDE = legal("AT"), legal("DE", vat_number="DE 136695976"), legal("CN")
CALLS = Usage("Austria", 100_000_000, False, 1_234, 74_070, 123_454_999_999)
LATE = Usage("Germany", 20_000_000, True, -1, -60, -550_000_000)
SWAP = Swap(
    buys="theirs", they_send=SwapSide(committed_s=60_000, per_minute_nanos=10_000_000, excess_per_minute_nanos=0, shortfall_per_minute_nanos=0),
    we_send=SwapSide(committed_s=60, per_minute_nanos=10_000_000, excess_per_minute_nanos=0, shortfall_per_minute_nanos=0),
)  # fmt: skip


def made(
    issuer: LegalEntity = RING, party: Legal = HOME, profile: TaxProfile = VAT, usage: tuple[Usage, ...] = (CALLS, LATE), currency: str = "EUR",
    exemptions: tuple[Exemption, ...] = (), credited: int | None = 0, tax: Any = "exclusive", **invoicing: Any,
) -> Invoice:  # fmt: skip
    """An issued invoice, or a credit note of it: of `credited` (None = all of it)."""
    agreement = Agreement(tenant="t1", name="home", role="sell", currency=currency, tax=tax, invoicing=Invoicing(**invoicing))
    whom = Party(tenant="t1", name="blue", legal=party, exemptions=exemptions)
    terms = Terms(agreement, whom, issuer, profile, TABLES)
    document: Document = build(terms, currency, NOVEMBER, usage)
    if credited != 0:
        document = credit(document, "RF-2026-000001", credited, [], "ticket 4711")
    return Invoice(
        "invoice-1", "t1", "blue", "home", currency, 1, document.kind, "issued", "ring", "RF-2026-000002", "", 0, 0, 1, 0, "answer", "2026-11-01",
        "2026-12-01", msgspec.json.encode(document).decode(), document.net, document.tax, document.total, "", "ops", ISSUED, DUE, ISSUED,
    )  # fmt: skip
