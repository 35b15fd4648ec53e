"""Rows of a config version that invoices are made by: who issues and receives them, what is on them besides calls, and taxes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Literal

import msgspec

from core.decimals import plain

EU = frozenset({
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO",
    "SE", "SI", "SK",
})  # fmt: skip
"""Members of the European Union, whose VAT numbers let the receiver owe the tax."""


class Legal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A company as it stands on an invoice. `country`: two capitals. `language`: of the texts of its invoices."""

    legal_name: str = ""
    address: tuple[str, ...] = ()
    postcode: str = ""
    city: str = ""
    country: str = ""
    vat_number: str = ""
    email: str = ""
    language: str = "en"


class LegalEntity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A company of ours that issues invoices. `number_prefix`: invoices are PREFIX-YEAR-NUMBER, without a gap. `brand`: a folder of brands/."""

    tenant: str
    name: str
    legal: Legal = Legal()
    registration: str = ""
    iban: str = ""
    bic: str = ""
    number_prefix: str = ""
    brand: str = ""


class Fee(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agreement costs besides its calls: per cycle, by days where it begins or ends within one (`prorate`), or once, on `from_day`."""

    text: str
    amount_nanos: int
    every: Literal["cycle", "once"] = "cycle"
    from_day: str = ""
    until_day: str = ""  # exclusive
    prorate: bool = True


class Discount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Percent off the calls of a period, where they come to `from_nanos` or more."""

    text: str
    percent: str
    from_nanos: int = 0


class SwapSide(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one side of a swap commits to send in a cycle, and the prices of what it sends, of what is beyond that, and of what is missing."""

    committed_s: int
    per_minute_nanos: int
    excess_per_minute_nanos: int
    shortfall_per_minute_nanos: int


class Swap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Two carriers exchange volumes. `buys`: the agreement by which we buy from the same party; `they_send`: the calls of this agreement."""

    buys: str
    they_send: SwapSide
    we_send: SwapSide


class Invoicing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an agreement is invoiced. `issuer`: a legal entity; "" = the only one.

    `first_day` anchors the cycle: a month begins on its day (the 31st: on the last day of a shorter month), a week on its weekday, a custom cycle of
    `cycle_days` counts from it. `period_instant`: which moment of a call must be in the period. `line_arithmetic`: a line is the sum of its calls'
    amounts, or its seconds at its price. `paid`: after the calls, before them (what was paid is the credit), or before them with a credit limit
    beyond it.
    """

    issuer: str = ""
    first_day: str = ""
    cycle_days: int = 0
    period_instant: Literal["setup", "answer", "end"] = "answer"
    line_arithmetic: Literal["calls", "seconds"] = "calls"
    paid: Literal["postpaid", "prepaid", "hybrid"] = "postpaid"
    fees: tuple[Fee, ...] = ()
    discounts: tuple[Discount, ...] = ()
    commitment_nanos: int | None = None  # the calls of a period come to at least this, or the rest is a line of its own
    swap: Swap | None = None


class Commission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a reseller earns by the parties under it, when they are invoiced or when they have paid: percent of the revenue, of the margin (less
    what the carriers got), or of the difference between their prices and its own."""

    percent: str
    of: Literal["revenue", "margin", "difference"] = "revenue"
    on: Literal["issued", "paid"] = "issued"


class Exemption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A party pays no such tax while its certificate is valid."""

    tax: str
    certificate: str
    from_day: str = ""
    until_day: str = ""  # exclusive


class TaxRate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rate from one day until another (exclusive; "" = open)."""

    percent: str
    from_day: str = ""
    until_day: str = ""


class TaxTable(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tax and its rates. `country`: whose VAT it is, "" = no VAT."""

    tenant: str
    name: str
    label: str = ""
    country: str = ""
    rates: tuple[TaxRate, ...] = ()


class StackedTax(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tax of a stack: on the net amount, or on that and the taxes before it."""

    tax: str
    base: Literal["net", "net_and_taxes"] = "net"


class TaxProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which taxes an agreement's invoices have. `vat`: by the countries of issuer and party; `stacked`: one after another; `none`, for `reason`."""

    tenant: str
    name: str
    kind: Literal["vat", "stacked", "none"] = "vat"
    stack: tuple[StackedTax, ...] = ()
    rounding: Literal["line", "invoice"] = "invoice"
    reason: str = ""


def is_day(text: str) -> bool:
    """
    >>> is_day("2026-12-25"), is_day("25.12.2026"), is_day("2026-02-30")
    (True, False, False)
    """
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def holds(from_day: str, until_day: str, day: str) -> bool:
    """Whether a day is between two ISO days, the second exclusive; "" = open.

    >>> holds("2026-01-01", "", "2026-01-01"), holds("", "2026-01-01", "2026-01-01")
    (True, False)
    """
    return (not from_day or from_day <= day) and (not until_day or day < until_day)


def percent_of(text: str) -> Decimal:
    """Raises `ValueError` where a text is no percentage from 0 to 100.

    >>> percent_of("19.5"), percent_of("0")
    (Decimal('19.5'), Decimal('0'))
    """
    value = Decimal(plain(text))
    if not 0 <= value <= 100:
        raise ValueError(f"{text!r} must be 0 to 100")
    return value


def vat_fault(number: str, country: str) -> str:
    """Why a VAT number cannot be one; "" = it can. Its check digits are checked, not whether it is in force.

    >>> vat_fault("ATU13585627", "AT"), vat_fault("", "AT")
    ('', '')
    >>> vat_fault("ATU13585628", "AT")
    "'ATU13585628' cannot be a VAT number: its check digit is wrong"
    >>> vat_fault("DE136695976", "AT")
    "'DE136695976' is a VAT number of DE, and the company is in AT"
    """
    from stdnum import exceptions, get_cc_module
    from stdnum.eu import vat

    if not number:
        return ""
    prefix = {"EL": "GR"}.get(number[:2].upper(), number[:2].upper())
    module = None if prefix in EU else get_cc_module(country.lower(), "vat") if country else None
    try:
        if prefix in EU:
            vat.validate(number)
        elif country in EU:
            return f"{number!r} cannot be a VAT number: it begins with no country of the EU"
        elif module is not None:
            module.validate(number)
    except exceptions.InvalidChecksum:
        return f"{number!r} cannot be a VAT number: its check digit is wrong"
    except exceptions.ValidationError as wrong:
        return f"{number!r} cannot be a VAT number: {str(wrong).rstrip('.').lower()}"
    return f"{number!r} is a VAT number of {prefix}, and the company is in {country}" if prefix in EU and country and prefix != country else ""


def faults_of_legal(legal: Legal) -> Iterator[tuple[str, str]]:
    """(field, what is wrong), of a company."""
    if legal.country and not (len(legal.country) == 2 and legal.country.isascii() and legal.country.isalpha() and legal.country.isupper()):
        yield "country", f"{legal.country!r} is not a country of two capitals such as AT"
    elif fault := vat_fault(legal.vat_number, legal.country):
        yield "vat_number", fault
    if legal.email and not _EMAIL.fullmatch(legal.email):
        yield "email", f"{legal.email!r} is no address such as billing@acme.example"


_EMAIL = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,255}")
"""One address, not a list of them; whether somebody reads it, only a mail shows."""


def faults_of_entity(entity: LegalEntity) -> Iterator[tuple[str, str]]:
    """(field, what is wrong), of a company of ours.

    >>> [*faults_of_entity(LegalEntity(tenant="t1", name="ring", iban="AT611904300234573202"))]
    [('iban', "'AT611904300234573202' cannot be an IBAN: a digit of it is wrong")]
    """
    from stdnum import bic, iban

    yield from ((f"legal.{field}", fault) for field, fault in faults_of_legal(entity.legal))
    if entity.iban and not iban.is_valid(entity.iban):
        yield "iban", f"{entity.iban!r} cannot be an IBAN: a digit of it is wrong"
    if entity.bic and not bic.is_valid(entity.bic):
        yield "bic", f"{entity.bic!r} cannot be a BIC: it has 8 or 11 letters and digits, such as BKAUATWW"


def faults_of_days(rows: Sequence[object], place: str) -> Iterator[tuple[str, str]]:
    """Days that are none, or that end before they begin."""
    for at, row in enumerate(rows):
        from_day, until_day = getattr(row, "from_day", ""), getattr(row, "until_day", "")
        for name, day in (("from_day", from_day), ("until_day", until_day)):
            if day and not is_day(day):
                yield f"{place}[{at}].{name}", f"{day!r} is no date: write 2026-12-25"
        if from_day and until_day and from_day >= until_day:
            yield f"{place}[{at}].until_day", "must be after `from_day`"


def faults_of_percents(rows: Sequence[object], place: str) -> Iterator[tuple[str, str]]:
    """Percentages that are none."""
    for at, row in enumerate(rows):
        try:
            percent_of(getattr(row, "percent", ""))
        except (ArithmeticError, ValueError) as wrong:
            yield f"{place}[{at}].percent", str(wrong)


def faults_of_table(table: TaxTable) -> Iterator[tuple[str, str]]:
    """Rates that overlap, or are none. A gap between two rates is no fault here: it is a finding of the invoice that needs a rate within it."""
    yield from faults_of_days(table.rates, "rates")
    yield from faults_of_percents(table.rates, "rates")
    for one, following in pairwise(sorted(table.rates, key=lambda rate: rate.from_day)):
        if not one.until_day or following.from_day < one.until_day:
            yield "rates", f"the rate from {following.from_day or 'ever'} overlaps the one before it: end that one with `until_day`"
