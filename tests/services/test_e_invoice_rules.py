"""Every kind of invoice keeps the rules of EN 16931 as Factur-X and as UBL, or has no e-invoice and says why."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schematron
from made_invoices import (
    ABROAD,
    BARE,
    BY_LINE,
    EURO,
    LATE,
    NO_VAT,
    NOBODY,
    NONE,
    OUTSIDE,
    RING,
    SALES_TAX,
    SWAP,
    US,
    legal,
    made,
)

from assurance.invoice import Usage
from core.billing import Discount, Exemption, Fee, Legal
from services import e_invoice

OFF = (Discount(text="Loyal customer", percent="10"), Discount(text="Volume", percent="5"))
FEES = (Fee(text="SIP trunk", amount_nanos=30 * EURO), Fee(text="Number", amount_nanos=EURO, from_day="2026-11-21"))
KINDS: dict[str, tuple[dict[str, Any], int]] = {  # what it is -> what makes it, and what was paid beforehand, in cents
    "VAT": ({}, 0),
    "VAT, without bank or registration": ({"issuer": BARE}, 0),
    "VAT of a Swiss seller": (
        {"issuer": msgspec.structs.replace(RING, legal=legal("CH", vat_number="CHE-107.787.577 IVA")), "party": legal("CH")}, 0,
    ),
    "VAT of a British seller, whose number is without its country": (
        {"issuer": msgspec.structs.replace(RING, legal=legal("GB", vat_number="980 7806 84")), "party": legal("GB")}, 0,
    ),
    "VAT rounded per line": ({"profile": BY_LINE, "usage": tuple(Usage(f"Zone {n}", n, False, 1, 60, 10_030_000_000) for n in range(60))}, 0),
    "a rate of zero": ({"issuer": msgspec.structs.replace(RING, legal=legal("IE", vat_number="IE6433435F")), "party": legal("IE")}, 0),
    "prices with the tax in them": ({"usage": (Usage("Austria", 0, False, 1, 60, 10 * EURO, gross=True),), "tax": "inclusive"}, 0),
    "reverse charge": ({"party": ABROAD}, 0),
    "reverse charge, with a discount": ({"party": ABROAD, "discounts": OFF}, 0),
    "exempt by a certificate": ({"exemptions": (Exemption(tax="at", certificate="ST-5 77"),)}, 0),
    "out of scope, the customer is outside the EU": ({"party": OUTSIDE}, 0),
    "out of scope, the customer has a VAT number of his own": ({"party": legal("CH", vat_number="CHE-107.787.577 MWST")}, 0),
    "out of scope, the seller is not registered": ({"party": OUTSIDE, "issuer": BARE}, 0),
    "out of scope, with a discount": ({"party": OUTSIDE, "discounts": OFF}, 0),
    "no tax at all": ({"profile": NONE, "issuer": NO_VAT}, 0),
    "fees, discounts and a commitment": ({"fees": FEES, "discounts": OFF, "commitment_nanos": 500 * EURO}, 0),
    "a swap": ({"swap": SWAP}, 0),
    "paid beforehand in part": ({}, 5_000),
    "paid beforehand in full": ({}, 14_749),
    "corrections only, we owe": ({"usage": (LATE,)}, 0),
    "an amount of nothing": ({"usage": (Usage("Austria", 0, False, 3, 60, 0),)}, 0),
    "yen": ({"currency": "JPY", "party": OUTSIDE}, 0),
    "a credit note of a part": ({"credited": 500}, 0),
    "a credit note of all": ({"credited": None, "discounts": OFF}, 0),
    "a credit note under reverse charge": ({"party": ABROAD, "credited": 500}, 0),
    "a credit note out of scope": ({"party": OUTSIDE, "credited": None}, 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The rules that each kind breaks, asked once for all."""
    folder: Path = tmp_path_factory.mktemp("e-invoices")
    for at, (how, paid) in enumerate(KINDS.values()):
        one = made(**how)._replace(paid=paid)
        (folder / f"{at}.cii.xml").write_bytes(e_invoice.cii(one))
        (folder / f"{at}.ubl.xml").write_bytes(e_invoice.ubl(one))
    wrong = e_invoice.ubl(made()).replace(b">24.58<", b">24.57<")
    (folder / "wrong.ubl.xml").write_bytes(wrong)
    asked = subprocess.run([sys.executable, schematron.__file__, str(folder)], capture_output=True, text=True, timeout=120)
    assert asked.returncode == 0, asked.stderr
    found: dict[str, list[str]] = json.loads(asked.stdout)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_invoice_keeps_the_rules(broken: dict[str, list[str]], kind: str):
    at = [*KINDS].index(kind)
    assert (broken[f"{at}.cii.xml"], broken[f"{at}.ubl.xml"]) == ([], [])


def test_the_rules_are_asked(broken: dict[str, list[str]]):
    assert any("BR-CO-1" in rule for rule in broken["wrong.ubl.xml"])


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"profile": US}, "several taxes"),
        ({"profile": SALES_TAX}, "one that is no VAT"),
        ({"profile": SALES_TAX, "exemptions": (Exemption(tax="state", certificate="ST-5"),)}, "one that is no VAT"),
        ({"issuer": NO_VAT}, "the legal entity no `vat_number`"),
        ({"party": OUTSIDE, "issuer": NOBODY}, "no `registration`"),
        ({"currency": "KWD"}, "KWD, which has 3 decimals"),
        ({"party": Legal(country="AT")}, "the party has no legal name or country"),
        ({"profile": BY_LINE, "usage": tuple(Usage(f"Zone {n}", n, False, 1, 60, 20_000_000) for n in range(300))}, "is a whole EUR off 20 %"),
    ],
)
def test_what_the_standard_has_no_form_for_says_why(how: dict[str, Any], why: str):
    with pytest.raises(e_invoice.NoEInvoice, match=why):
        e_invoice.cii(made(**how))
