"""Invoices as values: totals are the sums of lines and taxes, whatever is on them."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assurance import invoice
from assurance.cycles import Period, bounds, period_of
from assurance.invoice import BeyondInvoice, Terms, Usage, build, credit, postings
from assurance.rounding import allocated, to_minor, to_nanos
from assurance.tax import NoTax, Parties, taxes
from core.billing import Discount, Exemption, Fee, Invoicing, Legal, LegalEntity, StackedTax, TaxProfile, TaxRate, TaxTable
from core.config import Agreement, Party

NOVEMBER = Period(date(2026, 11, 1), date(2026, 12, 1), 0, 0)
AT = TaxTable(tenant="t1", name="at", label="USt", country="AT", rates=(TaxRate(percent="20"),))
STATE = TaxTable(tenant="t1", name="state", rates=(TaxRate(percent="6.25"),))
CITY = TaxTable(tenant="t1", name="city", rates=(TaxRate(percent="1.5"),))
FEE = TaxTable(tenant="t1", name="usf", rates=(TaxRate(percent="34.5", until_day="2026-11-01"), TaxRate(percent="36", from_day="2026-11-01")))
TABLES = {one.name: one for one in (AT, STATE, CITY, FEE)}
HOME = Parties(Legal(country="AT"), Legal(country="AT"))


def terms(profile: TaxProfile | None = TaxProfile(tenant="t1", name="vat"), country: str = "AT", **how) -> Terms:
    agreement = Agreement(tenant="t1", name="home", role="sell", currency="EUR", invoicing=Invoicing(**how))
    party = Party(tenant="t1", name="acme", legal=Legal(country=country))
    return Terms(agreement, party, LegalEntity(tenant="t1", name="ring", legal=Legal(country="AT")), profile, TABLES)


usages = st.builds(
    Usage, st.sampled_from(["Austria", "Germany"]), st.integers(0, 10**10), st.booleans(), st.integers(-5, 10**6), st.integers(-(10**6), 10**9),
    st.integers(-(10**20), 10**22), st.integers(0, 10**12), gross=st.booleans(),
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(usages, max_size=5), st.sampled_from(["calls", "seconds"]), st.sampled_from(["EUR", "JPY", "KWD"]), st.sampled_from(["line", "invoice"])
)
def test_the_total_is_the_sum_of_lines_and_taxes_and_what_is_posted_comes_to_it(usage, arithmetic, currency, rounding):
    profile = TaxProfile(tenant="t1", name="vat", rounding=rounding)
    fee = Fee(text="trunk", amount_nanos=29_990_000_001, from_day="2026-11-11")
    made = build(terms(profile, fees=(fee,), line_arithmetic=arithmetic, commitment_nanos=10**9), currency, NOVEMBER, usage)
    assert made.net == sum(line.amount for line in made.lines) and made.total == made.net + sum(tax.amount for tax in made.taxes)
    assert sum(postings(made).values()) == to_nanos(made.total, made.decimals)
    assert made.usage_nanos == sum(one.nanos for one in usage)
    for line in made.lines:
        assert abs(to_nanos(line.amount, made.decimals) - int(line.exact_nanos)) < 10 ** (9 - made.decimals), "less than a unit from exact"


@settings(max_examples=60)
@given(st.lists(st.integers(-(10**24), 10**24), max_size=9), st.integers(0, 3))
def test_rounded_lines_add_up_to_the_rounded_sum(nanos, decimals):
    assert sum(allocated(nanos, decimals)) == to_minor(sum(nanos), decimals)


@pytest.mark.parametrize(
    ("profile", "day", "found"),
    [
        # tax on the net amount, on net and taxes, rounded per line or once
        ([("state", "net"), ("city", "net")], "2026-11-30", [("6.25", 10_001, 625), ("1.5", 10_001, 150)]),
        ([("state", "net"), ("city", "net_and_taxes")], "2026-11-30", [("6.25", 10_001, 625), ("1.5", 10_626, 159)]),
        ([("usf", "net")], "2026-10-31", [("34.5", 10_001, 3_450)]),
        ([("usf", "net")], "2026-11-01", [("36", 10_001, 3_600)]),
    ],
)
def test_stacked_taxes(profile, day, found):
    one = TaxProfile(tenant="t1", name="us", kind="stacked", stack=tuple(StackedTax(tax=tax, base=base) for tax, base in profile))
    assert [(tax.percent, tax.base, tax.amount) for tax in taxes(one, TABLES, HOME, day, [5_001, 5_000])] == found


def test_rounding_per_line_and_per_invoice_differ():
    for rounding, amount in (("line", 6), ("invoice", 5)):
        one = TaxProfile(tenant="t1", name="us", kind="stacked", stack=(StackedTax(tax="city"),), rounding=rounding)
        (tax,) = taxes(one, TABLES, HOME, "2026-11-30", [50] * 6 + [33])
        assert (tax.amount, tax.rounding) == (amount, rounding)


@pytest.mark.parametrize(
    ("table", "day", "category", "exempted"),
    [("at", "2026-11-30", "E", True), ("at", "2026-12-01", "S", False), ("state", "2026-11-30", "", True), ("state", "2026-12-01", "", False)],
)
def test_an_exemption_holds_while_its_certificate_does(table, day, category, exempted):
    exempt = Exemption(tax=table, certificate="ST-5 77", until_day="2026-12-01")
    one = TaxProfile(tenant="t1", name="us", kind="stacked", stack=(StackedTax(tax=table),))
    (tax,) = taxes(one, TABLES, Parties(Legal(), Legal(), (exempt,)), day, [100])
    assert tax.category == category and ("ST-5 77" in tax.reason) == exempted


@pytest.mark.parametrize(
    ("issuer", "party", "category"),
    [("AT", Legal(country="AT"), "S"), ("AT", Legal(country="DE", vat_number="DE136695976"), "AE"), ("AT", Legal(country="US"), "O"),
     ("CH", Legal(country="AT"), "O")],
)  # fmt: skip
def test_vat_by_countries(issuer, party, category):
    profile = TaxProfile(tenant="t1", name="vat")
    assert taxes(profile, TABLES, Parties(Legal(country=issuer), party), "2026-11-30", [100])[0].category == category


@pytest.mark.parametrize(
    ("issuer", "party", "fault"),
    [("AT", Legal(country="DE"), "there is no tax table of DE"), ("", Legal(country="AT"), "country of the legal entity"),
     ("AT", Legal(country="DE", vat_number="DE136695977"), "its check digit is wrong")],
)  # fmt: skip
def test_taxes_that_cannot_be_told_say_why(issuer, party, fault):
    with pytest.raises(NoTax, match=fault):
        taxes(TaxProfile(tenant="t1", name="vat"), TABLES, Parties(Legal(country=issuer), party), "2026-11-30", [100])


def test_gross_prices_come_to_the_gross_total():
    made = build(terms(), "EUR", NOVEMBER, [Usage("Austria", 0, False, 1, 60, 10_000_000_000, gross=True)])
    assert (made.net, made.tax, made.total) == (833, 167, 1000)
    stacked = TaxProfile(tenant="t1", name="us", kind="stacked", stack=(StackedTax(tax="state"), StackedTax(tax="city")))
    with pytest.raises(NoTax, match="its prices include the tax"):
        build(terms(stacked), "EUR", NOVEMBER, [Usage("Austria", 0, False, 1, 60, 10_000_000_000, gross=True)])


def test_a_commitment_and_discounts():
    how = {"commitment_nanos": 50 * 10**9, "discounts": (Discount(text="volume", percent="10", from_nanos=30 * 10**9),)}
    made = build(terms(**how), "EUR", NOVEMBER, [Usage("Austria", 0, False, 1, 60, 40 * 10**9)])
    assert [(line.kind, line.amount) for line in made.lines] == [("calls", 4_000), ("discount", -400), ("commitment", 1_400)]
    made = build(terms(**how), "EUR", NOVEMBER, [Usage("Austria", 0, False, 1, 60, 20 * 10**9), Usage("Late", 0, True, 1, 60, 99 * 10**9)])
    assert [(line.kind, line.amount) for line in made.lines] == [("calls", 2_000), ("late", 9_900), ("commitment", 3_000)]


def test_a_credit_note_takes_the_taxes_back():
    made = build(terms(), "EUR", NOVEMBER, [Usage("Austria", 0, False, 1, 60, 10_010_000_000)])
    whole = credit(made, "RF-1", None, [], "wrong")
    assert (whole.net, whole.tax, whole.total) == (-made.net, -made.tax, -made.total)
    part = credit(made, "RF-1", 500, [], "wrong")
    assert (part.net, part.tax) == (-500, -100)
    for amount, earlier in ((502, [part]), (0, []), (-1, []), (1002, []), (1, [whole])):
        with pytest.raises(BeyondInvoice):
            credit(made, "RF-1", amount, earlier, "wrong")


@pytest.mark.parametrize(
    ("profile", "net", "parts"),
    [
        (None, 9, [3, 3, 3]),  # 0.02 of tax: three thirds round up to 0.01 each
        (None, 3, [1, 1, 1]),  # 0.01 of tax: three thirds round down to nothing
        ("us", 10_001, [3_333, 3_333, 3_335]),
        ("us", 10_001, [1, 10_000]),
    ],
)
def test_the_credit_notes_of_an_invoice_come_to_it_and_never_to_more(profile, net, parts):
    stack = (StackedTax(tax="state"), StackedTax(tax="city", base="net_and_taxes"))
    how = terms(TaxProfile(tenant="t1", name="us", kind="stacked", stack=stack)) if profile else terms()
    made = build(how, "EUR", NOVEMBER, [Usage("Austria", 0, False, 1, 60, net * 10**7)])
    notes: list = []
    for part in parts:
        notes.append(credit(made, "RF-1", part, notes, "in parts"))
        assert all(sum(-one.taxes[at].amount for one in notes) <= tax.amount for at, tax in enumerate(made.taxes))
    assert -sum(one.total for one in notes) == made.total
    assert [-sum(one.taxes[at].base for one in notes) for at in range(len(made.taxes))] == [tax.base for tax in made.taxes]


@pytest.mark.parametrize(
    ("cycle", "anchor", "days", "day", "period"),
    [
        ("daily", "", 0, "2026-03-29", ("2026-03-29", "2026-03-30")),
        ("weekly", "2026-01-07", 0, "2026-11-27", ("2026-11-25", "2026-12-02")),
        ("half_monthly", "", 0, "2026-02-15", ("2026-02-01", "2026-02-16")),
        ("half_monthly", "", 0, "2026-12-16", ("2026-12-16", "2027-01-01")),
        ("monthly", "", 0, "2026-12-31", ("2026-12-01", "2027-01-01")),
        ("monthly", "2026-01-31", 0, "2026-01-30", ("2025-12-31", "2026-01-31")),
        ("monthly", "2026-01-31", 0, "2028-02-29", ("2028-02-29", "2028-03-31")),
        ("monthly", "2026-01-31", 0, "2026-04-30", ("2026-04-30", "2026-05-31")),
        ("custom", "2026-01-01", 10, "2025-12-31", ("2025-12-22", "2026-01-01")),
    ],
)
def test_periods(cycle, anchor, days, day, period):
    assert tuple(str(one) for one in bounds(cycle, anchor, days, date.fromisoformat(day))) == period


@settings(max_examples=60)
@given(
    st.sampled_from(["daily", "weekly", "half_monthly", "monthly", "custom"]), st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    st.sampled_from(["Europe/Vienna", "America/Sao_Paulo", "Asia/Beirut", "UTC"]), st.integers(1_600_000_000_000, 1_900_000_000_000),
)  # fmt: skip
def test_every_moment_is_in_one_period_and_the_next_follows_without_a_gap(cycle, anchor, zone, at_ms):
    how = Invoicing(first_day=anchor.isoformat(), cycle_days=11)
    agreement = Agreement(tenant="t1", name="a", role="sell", cycle=cycle, time_zone=zone, invoicing=how)
    period = period_of(agreement, at_ms)
    assert period.from_ms <= at_ms < period.until_ms
    following = period_of(agreement, period.until_ms)
    assert following.from_ms == period.until_ms and following.first == period.until
    assert period_of(agreement, period.from_ms) == period


def test_a_document_is_read_as_it_was_written():
    made = build(terms(), "EUR", NOVEMBER, [Usage("Austria", 0, False, 1, 60, 10**30)])
    assert msgspec.json.decode(msgspec.json.encode(made), type=invoice.Document) == made
