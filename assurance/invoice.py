"""An invoice as a value: lines of calls, fees, discounts and a commitment; taxes; and a total that is the sum of its lines and taxes.

Calls come as sums that the warehouse made (`Usage`); everything else follows from the agreement. Amounts of a document are whole numbers of the
currency's smallest unit, and each line keeps the exact nanos that it was made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import msgspec

from assurance.cycles import Period
from assurance.rounding import RULE, allocated, decimals_of, to_minor, to_nanos
from assurance.swap import Settlement, settled
from assurance.tax import NoTax, Parties, TaxLine, taxes
from core.billing import Fee, Invoicing, LegalEntity, TaxProfile, TaxTable, holds, percent_of
from core.config import Agreement, Party
from core.money import divide_half_up


@dataclass(frozen=True)
class Usage:
    """What calls to one destination at one price came to. `late`: of an earlier period, or a correction of what was invoiced."""

    destination: str
    per_min_nanos: int
    late: bool
    calls: int
    charged_s: int
    nanos: int
    fees_nanos: int = 0  # connect and attempt fees and surcharges, which are in `nanos`
    charges: int = 0
    gross: bool = False  # its amounts include the tax


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line. `kind`: calls, late, fee, discount, commitment, true_up, credit.
    `exact_nanos`: a text, because it may be wider than JSON's numbers are read."""

    kind: str
    text: str
    amount: int
    exact_nanos: str
    calls: int = 0
    charged_s: int = 0
    per_min_nanos: int = 0
    usage_nanos: str = "0"  # what the calls of the line came to, exactly
    charges: int = 0


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or credit note, complete but for its number and dates of issue. Days are ISO; `until_day` is exclusive."""

    kind: str  # invoice | credit_note
    currency: str
    decimals: int
    issuer: LegalEntity
    party: Party
    agreement: str
    from_day: str
    until_day: str
    payment_days: int
    lines: tuple[Line, ...]
    taxes: tuple[TaxLine, ...]
    net: int
    tax: int
    total: int
    rounding: str = RULE
    of_invoice: str = ""  # of a credit note
    why: str = ""
    swap: Settlement | None = None

    @property
    def usage_nanos(self) -> int:
        """What its calls came to, exactly."""
        return sum(int(line.usage_nanos) for line in self.lines)


@dataclass(frozen=True)
class Terms:
    """What besides its calls decides an invoice."""

    agreement: Agreement
    party: Party
    issuer: LegalEntity
    profile: TaxProfile | None
    tables: Mapping[str, TaxTable]


def build(terms: Terms, currency: str, period: Period, usage: Sequence[Usage], bought: tuple[int, int] = (0, 0)) -> Document:
    """The invoice of a period. `bought`: of a swap, the charged seconds and nanos of the other side. Raises `assurance.tax.NoTax`."""
    swap = terms.agreement.invoicing.swap
    if swap is None:
        return _built(terms, currency, period, list(_lines(terms.agreement, period, usage)))
    mine = [one for one in usage if not one.late]
    settlement = settled(swap, (sum(one.charged_s for one in mine), sum(one.nanos for one in mine)), bought)
    lines = list(_lines(terms.agreement, period, usage))
    if settlement.sold.true_up_nanos:
        lines.append(("true_up", settlement.sold.true_up_nanos, "Swap true-up"))
    return msgspec.structs.replace(_built(terms, currency, period, lines), swap=settlement)


def _built(terms: Terms, currency: str, period: Period, lines: list[tuple[str, int, Usage | str]]) -> Document:
    decimals = decimals_of(currency)
    if not any(isinstance(source, Usage) and source.gross for _, _, source in lines):
        return finished(terms, currency, period, _lines_of(lines, decimals))
    # Gross prices: the tax is taken out of each line, and the total is what the gross amounts come to.
    (tax, *others) = finished(terms, currency, period, []).taxes
    if others:
        raise NoTax("its prices include the tax, and its tax profile has several: have one tax, or `tax: exclusive` in the agreement")
    share = Fraction(100) / (100 + Fraction(percent_of(tax.percent)))
    net = [
        (kind, _rounded(nanos * share) if not isinstance(source, Usage) or source.gross else nanos, source) for kind, nanos, source in lines
    ]
    made = finished(terms, currency, period, _lines_of(net, decimals))
    if not made.taxes[0].amount:
        return made
    total = to_minor(sum(nanos for _, nanos, _ in lines), decimals)
    kept = msgspec.structs.replace(made.taxes[0], amount=total - made.net)
    return msgspec.structs.replace(made, taxes=(kept,), tax=kept.amount, total=total)


def _rounded(value: Fraction) -> int:
    return divide_half_up(value.numerator, value.denominator)


def _lines_of(lines: Sequence[tuple[str, int, Usage | str]], decimals: int) -> list[Line]:
    amounts = allocated([nanos for _, nanos, _ in lines], decimals)
    return [_line(kind, nanos, amount, source) for (kind, nanos, source), amount in zip(lines, amounts, strict=True)]


def finished(terms: Terms, currency: str, period: Period, lines: Sequence[Line]) -> Document:
    """An invoice of lines whose amounts stand: with its taxes and total."""
    who = Parties(terms.issuer.legal, terms.party.legal, terms.party.exemptions)
    taxed = taxes(terms.profile, terms.tables, who, period.last.isoformat(), [line.amount for line in lines])
    net, tax = sum(line.amount for line in lines), sum(one.amount for one in taxed)
    return Document(
        kind="invoice", currency=currency, decimals=decimals_of(currency), issuer=terms.issuer, party=terms.party, agreement=terms.agreement.name,
        from_day=period.first.isoformat(), until_day=period.until.isoformat(), payment_days=terms.agreement.payment_days, lines=tuple(lines),
        taxes=tuple(taxed), net=net, tax=tax, total=net + tax,
    )  # fmt: skip


def _lines(agreement: Agreement, period: Period, usage: Sequence[Usage]) -> Iterator[tuple[str, int, Usage | str]]:
    """Kind, exact nanos, and the calls or the text of each line."""
    how = agreement.invoicing
    ordered = sorted(usage, key=lambda one: (one.late, one.destination, one.per_min_nanos))
    sold = 0
    for one in ordered:
        nanos = by_seconds(one) if how.line_arithmetic == "seconds" else one.nanos
        sold += 0 if one.late else nanos
        yield ("late" if one.late else "calls"), nanos, one
    yield from beside(how, sold, period)


def beside(how: Invoicing, sold: int, period: Period) -> Iterator[tuple[str, int, str]]:
    """What an agreement makes of a period besides its calls, which came to `sold` nanos: kind, exact nanos and text of each line."""
    for discount in how.discounts:
        if sold > 0 and sold >= discount.from_nanos:
            off = Fraction(sold) * Fraction(percent_of(discount.percent)) / 100
            less = _rounded(off)
            sold -= less
            yield "discount", -less, discount.text
    if how.commitment_nanos is not None and sold < how.commitment_nanos:
        yield "commitment", how.commitment_nanos - sold, "Minimum commitment"
    for fee in how.fees:
        if (nanos := fee_of(fee, period)) != 0:
            yield "fee", nanos, fee.text


def by_seconds(one: Usage) -> int:
    """A line of `line_arithmetic: seconds`: its seconds at its price, rounded once, and its fees.

    >>> by_seconds(Usage("Austria", 10_000_001, False, 2, 61, 99))
    10166668
    """
    return divide_half_up(one.charged_s * one.per_min_nanos, 60) + one.fees_nanos


def fee_of(fee: Fee, period: Period) -> int:
    """What a fee comes to in a period, in nanos.

    >>> from datetime import date
    >>> november = Period(date(2026, 11, 1), date(2026, 12, 1), 0, 0)
    >>> fee_of(Fee(text="trunk", amount_nanos=30_000, from_day="2026-11-21"), november), fee_of(Fee(text="trunk", amount_nanos=30_000), november)
    (10000, 30000)
    >>> fee_of(Fee(text="setup", amount_nanos=99, every="once", from_day="2026-11-21"), november)
    99
    """
    first, until = period.first.isoformat(), period.until.isoformat()
    if fee.every == "once":
        return fee.amount_nanos if holds(first, until, fee.from_day) else 0
    begin, end = max(fee.from_day or first, first), min(fee.until_day or until, until)
    if begin >= end:
        return 0
    days = (type(period.first).fromisoformat(end) - type(period.first).fromisoformat(begin)).days
    whole = (period.until - period.first).days
    return fee.amount_nanos if days == whole or not fee.prorate else divide_half_up(fee.amount_nanos * days, whole)


def _line(kind: str, nanos: int, amount: int, source: Usage | str) -> Line:
    if isinstance(source, str):
        return Line(kind=kind, text=source, amount=amount, exact_nanos=str(nanos))
    return Line(
        kind=kind, text=source.destination, amount=amount, exact_nanos=str(nanos), calls=source.calls, charged_s=source.charged_s,
        per_min_nanos=source.per_min_nanos, usage_nanos=str(source.nanos), charges=source.charges,
    )  # fmt: skip


class BeyondInvoice(ValueError):
    """A credit note of more than is left of its invoice."""


def credit(document: Document, number: str, amount_net: int | None, earlier: Sequence[Document], why: str) -> Document:
    """A credit note: of all that is left of an invoice (`amount_net` None), or of a part of its net amount, in the smallest unit, > 0. `earlier`: its
    credit notes so far. The taxes are those of the invoice, whatever the config says now; never more than is left of them, and all of it with the
    last part, so that its credit notes come to it to the last unit. Raises `BeyondInvoice`."""
    left = document.net + sum(one.net for one in earlier)
    amount = left if amount_net is None else amount_net
    if amount <= 0 or amount > left:
        raise BeyondInvoice(
            f"invoice {number} has {left} left of {document.net} (net, in the smallest unit of {document.currency}): a credit of {amount} cannot be"
        )
    line = Line(kind="credit", text=f"Credit for invoice {number}", amount=-amount, exact_nanos=str(to_nanos(-amount, document.decimals)))
    back = []
    for at, tax in enumerate(document.taxes):
        base, money = tax.base + sum(one.taxes[at].base for one in earlier), tax.amount + sum(one.taxes[at].amount for one in earlier)
        if amount < left:
            base = _rounded(Fraction(tax.base * amount, document.net))
            money = min(money, _rounded(Fraction(base) * Fraction(percent_of(tax.percent)) / 100))
        back.append(msgspec.structs.replace(tax, base=-base, amount=-money))
    tax_minor = sum(one.amount for one in back)
    return msgspec.structs.replace(
        document, kind="credit_note", lines=(line,), taxes=tuple(back), net=-amount, tax=tax_minor, total=tax_minor - amount, of_invoice=number,
        why=why, swap=None, rounding=RULE,
    )  # fmt: skip


def postings(document: Document) -> dict[str, int]:
    """What a document moves to the party's receivable, in nanos, by where it comes from: `usage`, `revenue`, `tax:NAME`, `rounding`.

    They come to the total exactly: `rounding` is what the rounding of lines and taxes leaves.
    """
    moved = {"usage": document.usage_nanos}
    moved["revenue"] = sum(int(line.exact_nanos) - int(line.usage_nanos) for line in document.lines)
    for one in document.taxes:
        if one.amount:
            key = f"tax:{one.tax}"
            moved[key] = moved.get(key, 0) + to_nanos(one.amount, document.decimals)
    moved["rounding"] = to_nanos(document.total, document.decimals) - sum(moved.values())
    return moved
