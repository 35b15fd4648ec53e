"""Taxes of an invoice, from dated tables. Every tax line says which tax, rate, row of the table and rounding made it.

Sources: Council Directive 2006/112/EC, articles 44, 58 and 196 (telephone services are taxed where the customer is; a taxable person in another
member state owes the tax itself); for stacked taxes the profile says what each is levied on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import msgspec

from core.billing import EU, Exemption, Legal, TaxProfile, TaxRate, TaxTable, holds, percent_of, vat_fault

REVERSE_CHARGE = "Reverse charge: the recipient owes the VAT (Article 196, Directive 2006/112/EC)"
OUTSIDE = "Not subject to VAT of {issuer}: the customer is in {party} (Article 44, Directive 2006/112/EC)"
EXEMPT = "Exempt by certificate "
"""Reasons of a tax of 0, as a document has them; its PDF says them in the party's language."""


class NoTax(ValueError):
    """The taxes of an invoice cannot be told; the text says which table, party or day, and what to do."""


class TaxLine(msgspec.Struct, frozen=True, kw_only=True):
    """A tax of an invoice. `category`: of EN 16931 (S standard, Z zero, AE the receiver owes it, E exempt, O outside; "" = no VAT).
    Amounts in the smallest unit."""

    tax: str
    label: str
    percent: str
    row: str
    category: str
    base: int
    amount: int
    rounding: str
    reason: str = ""


@dataclass(frozen=True)
class Parties:
    """Who issues and who receives, and what the receiver is exempt from."""

    issuer: Legal
    party: Legal
    exemptions: tuple[Exemption, ...] = ()


def taxes(profile: TaxProfile | None, tables: Mapping[str, TaxTable], who: Parties, day: str, lines: Sequence[int]) -> list[TaxLine]:
    """The taxes on the net amounts of an invoice's lines (smallest unit) as of an ISO day. Raises `NoTax`.

    >>> at = TaxTable(tenant="t1", name="at", label="USt", country="AT", rates=(TaxRate(percent="20", from_day="1984-01-01"),))
    >>> home = Parties(Legal(country="AT"), Legal(country="AT"))
    >>> profile = TaxProfile(tenant="t1", name="vat")
    >>> [(one.label, one.percent, one.base, one.amount) for one in taxes(profile, {"at": at}, home, "2026-11-30", [333, 334])]
    [('USt', '20', 667, 133)]
    >>> abroad = Parties(Legal(country="AT"), Legal(country="DE", vat_number="DE136695976"))
    >>> [(one.category, one.amount) for one in taxes(profile, {"at": at}, abroad, "2026-11-30", [667])]
    [('AE', 0)]
    """
    if profile is None or profile.kind == "none":
        reason = profile.reason if profile else "no tax profile"
        return [TaxLine(tax="", label="", percent="0", row="", category="O", base=sum(lines), amount=0, rounding="", reason=reason)]
    return _vat(profile, tables, who, day, lines) if profile.kind == "vat" else _stacked(profile, tables, who, day, lines)


def _vat(profile: TaxProfile, tables: Mapping[str, TaxTable], who: Parties, day: str, lines: Sequence[int]) -> list[TaxLine]:
    issuer, party = who.issuer.country, who.party.country
    if not issuer or not party:
        raise NoTax(f"VAT needs the country of {'the legal entity' if not issuer else 'the party'}: set `country` in its `legal`")
    if fault := vat_fault(who.party.vat_number, party):
        raise NoTax(f"VAT number {fault}: correct `vat_number` in the party's `legal`")
    if party != issuer and party in EU and issuer in EU and who.party.vat_number:
        return [_zero("AE", REVERSE_CHARGE, sum(lines), party)]
    if party != issuer and (party not in EU or issuer not in EU):
        return [_zero("O", OUTSIDE.format(issuer=issuer, party=party), sum(lines), "")]
    table = next((one for _, one in sorted(tables.items()) if one.country == party), None)
    if table is None:
        raise NoTax(f"there is no tax table of {party}: add one with `country: {party}`")
    return [_line(table, who.exemptions, day, lines, list(lines), profile.rounding)]


def _stacked(profile: TaxProfile, tables: Mapping[str, TaxTable], who: Parties, day: str, lines: Sequence[int]) -> list[TaxLine]:
    found: list[TaxLine] = []
    for one in profile.stack:
        if one.tax not in tables:
            raise NoTax(f"there is no tax table {one.tax!r}, which tax profile {profile.name!r} names")
        base = list(lines)
        if one.base == "net_and_taxes":  # what the taxes before it came to is a base of its own: it belongs to no line alone
            base.append(sum(tax.amount for tax in found))
        found.append(_line(tables[one.tax], who.exemptions, day, lines, base, profile.rounding))
    return found


def _line(table: TaxTable, exemptions: Sequence[Exemption], day: str, lines: Sequence[int], base: list[int], rounding: str) -> TaxLine:
    label = table.label or table.name
    for one in exemptions:
        if one.tax == table.name and holds(one.from_day, one.until_day, day):
            reason = EXEMPT + one.certificate
            category = "E" if table.country else ""
            return TaxLine(
                tax=table.name, label=label, percent="0", row="", category=category, base=sum(base), amount=0, rounding=rounding, reason=reason
            )  # fmt: skip
    rate = rate_of(table, day)
    percent = Fraction(percent_of(rate.percent))
    amounts = base if rounding == "line" else [sum(base)]
    amount = sum(_half_up(one * percent / 100) for one in amounts)
    row = f"{rate.from_day or '...'} to {rate.until_day or '...'}"
    category = ("S" if percent else "Z") if table.country else ""
    return TaxLine(tax=table.name, label=label, percent=rate.percent, row=row, category=category, base=sum(base), amount=amount, rounding=rounding)


def rate_of(table: TaxTable, day: str) -> TaxRate:
    """The rate of a table on a day. Raises `NoTax` in a gap."""
    for rate in table.rates:
        if holds(rate.from_day, rate.until_day, day):
            return rate
    rows = ", ".join(f"{one.from_day or '...'} to {one.until_day or '...'}" for one in table.rates) or "none"
    raise NoTax(f"tax table {table.name!r} has no rate on {day} (its rows: {rows}): add the row that is missing")


def _zero(category: str, reason: str, base: int, label: str) -> TaxLine:
    return TaxLine(tax="", label=label and "VAT", percent="0", row="", category=category, base=base, amount=0, rounding="", reason=reason)


def _half_up(value: Fraction) -> int:
    """
    >>> [_half_up(Fraction(n, 2)) for n in (1, -1, 3)]
    [1, -1, 2]
    """
    whole = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return whole if value >= 0 else -whole
