"""Fees, discounts by volume and commitments of a bill against those of the agreement: `text amount` of theirs, `kind amount text` of ours."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from assurance.cycles import Period
from assurance.invoice import beside
from assurance.reconcile.agreed import Agreed, against
from core.billing import Discount, Fee, Invoicing

CASES = {
    "as agreed": ([("Port fee", 50), ("Volume discount", -10)], [("fee", 50, "Port"), ("discount", -10, "from 100 on")], {}),
    "a fee that is dearer": ([("Port fee Vienna", 60)], [("fee", 50, "Port fee")], {"fee": 10}),
    "a fee that nobody agreed on": ([("Paper invoice", 3)], [], {"other_charge": 3}),
    "a discount that was forgotten": ([], [("discount", -10, "from 100 on")], {"discount": 10}),
    "the discount of a lower tier": ([("Rebate tier 1", -5)], [("discount", -10, "from 100 on")], {"discount": 5}),
    "a commitment that was reached": ([("Minimum commitment shortfall", 40)], [], {"other_charge": 40}),
    "a commitment after other calls": ([("Shortfall", 40)], [("commitment", 55, "Minimum commitment")], {"commitment": -15}),
    "two fees, one of them ours": ([("Port fee", 50), ("Support", 20)], [("fee", 20, "Support desk")], {"other_charge": 50}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_beside_the_calls(case: str):
    theirs, ours, expected = CASES[case]
    lines = pl.DataFrame({"line": range(len(theirs)), "destination": [one[0] for one in theirs], "nanos": [one[1] for one in theirs]},
        schema={"line": pl.Int64, "destination": pl.String, "nanos": pl.Int64})  # fmt: skip
    found = against(lines, [Agreed(*one) for one in ours])
    assert dict(found.select("cause", "nanos").iter_rows()) == expected
    assert found["nanos"].sum() == sum(one[1] for one in theirs) - sum(one[1] for one in ours)


def test_the_agreement_makes_the_lines_that_its_invoices_have():
    how = Invoicing(discounts=(Discount(text="5 % from 100 on", percent="5", from_nanos=100),), commitment_nanos=1_000,
        fees=(Fee(text="Port", amount_nanos=7, prorate=False),))  # fmt: skip
    lines = list(beside(how, 200, Period(date(2026, 10, 1), date(2026, 11, 1), 0, 1)))
    assert lines == [("discount", -10, "5 % from 100 on"), ("commitment", 810, "Minimum commitment"), ("fee", 7, "Port")]
