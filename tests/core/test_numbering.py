"""Countries, lines and trunk zeros: against the metadata that the tables were made from."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType as Type

from core import numbering

MAKER = Path(__file__).with_name("numbering_data.py")


def maker():
    spec = importlib.util.spec_from_file_location("numbering_data", MAKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_metadata():
    module = maker()
    assert module.TARGET.read_text() == module.text()


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_country_has_lines_and_its_premium_numbers_are_none(region: str):
    for kind, is_line in ((Type.FIXED_LINE, True), (Type.MOBILE, True), (Type.PREMIUM_RATE, False), (Type.SHARED_COST, False)):
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None or (region, kind) == ("CL", Type.FIXED_LINE):  # 600: a fixed line and shared cost in one
            continue
        digits = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:]
        assert numbering.is_line(digits) == is_line, (region, kind, digits)
        assert numbering.country_code(digits) == str(example.country_code)


@given(st.from_regex(r"1[2-9][0-9]{9}", fullmatch=True), st.from_regex(r"1[2-9][0-9]{9}", fullmatch=True))
def test_the_country_of_a_number_after_1_is_that_of_the_metadata(one: str, other: str):
    regions = [phonenumbers.region_code_for_number(phonenumbers.parse("+" + digits)) for digits in (one, other)]
    if None in regions or not (numbering.is_line(one) and numbering.is_line(other)):
        return
    assert (numbering.country(one) == numbering.country(other)) == (regions[0] == regions[1])


@pytest.mark.parametrize(
    ("digits", "country", "is_line"),
    [
        ("12125551212", "US", True), ("13105551212", "US", True), ("18765551212", "JM", True), ("14165551212", "CA", True),
        ("16045551212", "CA", True),
        ("74951234567", "RU", True), ("79161234567", "RU", True), ("77272345678", "KZ", True), ("76272345678", "KZ", True),
        ("78272345678", "RU", True),
        ("431234567", "43", True), ("43900123456", "43", False), ("882131234567", "", False), ("", "", False),
    ],
)  # fmt: skip
def test_the_country_of_a_number_and_whether_it_is_a_line(digits: str, country: str, is_line: bool):
    assert (numbering.country(digits), numbering.is_line(digits)) == (country, is_line)
