"""The form of a currency's code."""

from __future__ import annotations

import pytest

from core.currencies import CURRENCIES, is_code


@pytest.mark.parametrize(
    ("text", "valid"), [("EUR", True), ("XQX", True), ("EU", False), ("EURO", False), ("eUR", False), ("E1R", False), ("ÄÖÜ", False), ("", False)]
)
def test_a_code_is_three_capitals(text, valid):
    assert is_code(text) is valid


def test_every_listed_code_has_the_form_of_one():
    assert all(map(is_code, CURRENCIES)) and {"EUR", "USD", "IDR", "XCG", "LTL"} <= CURRENCIES
